//! The one event of a purchase: units are reserved, and an order is to be written for them.

use crate::{OrderId, SpikeId, Units, UserId};

/// A reservation on its way to becoming an order.
///
/// Redis keeps it as a member of `pending`, `reservation|user|units`; the broker carries it as a `CloudEvent`
/// (`spike.order.placed.v1`). Both are built from this type, so that the writer can take back the very member that
/// `reserve` left.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderPlaced {
    /// The reservation, and the order to come.
    pub order_id: OrderId,
    /// The spike whose units they are.
    pub spike_id: SpikeId,
    /// The buyer.
    pub user_id: UserId,
    /// The units that Redis handed out: at least one, at most [`crate::spike::MAX_LIMIT_PER_USER`].
    pub units: Units,
}

/// The text is not a member of `pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a pending entry: expected reservation|user|units")]
pub struct ParseMemberError;

impl OrderPlaced {
    /// The member of `pending` for this reservation: `reservation|user|units`.
    #[must_use]
    pub fn member(&self) -> String {
        format!("{}|{}|{}", self.order_id, self.user_id, self.units)
    }

    /// Reads a member of the `pending` of `spike_id`.
    pub fn from_member(spike_id: SpikeId, member: &str) -> Result<Self, ParseMemberError> {
        let mut parts = member.split('|');
        let (Some(order), Some(user), Some(units), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseMemberError);
        };
        let units: Units = units.parse().map_err(|_| ParseMemberError)?;
        if units.is_empty() {
            return Err(ParseMemberError);
        }
        Ok(Self {
            order_id: order.parse().map_err(|_| ParseMemberError)?,
            spike_id,
            user_id: user.parse().map_err(|_| ParseMemberError)?,
            units,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn a_reservation_survives_its_pending_entry() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let placed = OrderPlaced {
            order_id: OrderId::mint(now, [1; 10]),
            spike_id: SpikeId::mint(now, [2; 10]),
            user_id: UserId::mint(now, [3; 10]),
            units: [4, 7].into_iter().collect(),
        };
        assert_eq!(
            OrderPlaced::from_member(placed.spike_id, &placed.member()),
            Ok(placed.clone())
        );
        for member in [
            "",
            "|",
            "a|b|1",
            &format!("{}|1", placed.member()),
            &placed.member().replace("4,7", ""),
        ] {
            assert_eq!(
                OrderPlaced::from_member(placed.spike_id, member),
                Err(ParseMemberError),
                "{member}"
            );
        }
    }
}
