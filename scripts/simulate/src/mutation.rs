//! Deliberate defects, each of which the checks must catch. They exist in the simulator only.
//!
//! A defect of a script is a change of its text on the way into the simulated Redis; a defect of the store, the sink or the
//! order of two steps is made at the seam. So what ships stays as it is.

use clap::ValueEnum;

use crate::shape::Shape;

/// What no schedule shows.
///
/// `offer` is called for units that an audit found to be nobody's, and whoever makes such a unit somebody's in between does so
/// within the audit's lease: its compare is a second line, of which `stock` has its own test. The lease in turn spares
/// Redis two audits of a spike at once; what they would write is compared. And whoever acknowledges has seen the order in
/// the store, so that any entry of its reservation may go: its bytes are only the cheapest way to name it.
pub const OUT_OF_REACH: [Mutation; 3] = [
    Mutation::OfferWhatIsHeld,
    Mutation::AuditsOverlap,
    Mutation::AcknowledgeByReservation,
];

/// One deliberate defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Mutation {
    /// Rule 1: units of reservations that are a minute old go back on offer.
    ReleaseByAge,
    /// Rule 3: the publisher acknowledges in Redis what the broker has taken.
    PublisherAcknowledges,
    /// Rule 3: the writer acknowledges before its commit.
    WriterAcknowledgesBeforeCommit,
    /// Rule 4: an event that comes after its order has ended places it again.
    LateDuplicateRevives,
    /// Rule 5: `release` gives units back whoever holds them.
    ReleaseWithoutCompare,
    /// Rule 5: `release` leaves the buyer's mark.
    ReleaseKeepsTheBuyer,
    /// Rule 6: a sale that is present is loaded again.
    LoadOverPresent,
    /// ADR 32: whoever has lost the loader's lock loads all the same.
    LateLoaderFills,
    /// Rule 7: the house takes more units than the target asks for.
    RetireBeyondTheTarget,
    /// Rule 7: `offer` puts units on offer that somebody holds.
    OfferWhatIsHeld,
    /// Rule 8: `learn` overwrites whoever holds the unit by now.
    LearnWithoutCompare,
    /// Rule 8: `reassign` hands out new units at every repetition.
    ReassignAgainAndAgain,
    /// Rule 9: an older configuration overwrites a newer one.
    ConfigureIgnoresTheVersion,
    /// Rule 9: Redis is not told of another end.
    EndStaysInRedis,
    /// Rule 9: Redis is not told that a sale has rules now.
    RulesStayInRedis,
    /// A pause does not stop the sale.
    PauseIgnored,
    /// The limit per user is not looked at.
    LimitIgnored,
    /// The access verdict is not looked at.
    VerdictIgnored,
    /// A reservation is not noted in the outbox.
    NothingPending,
    /// A replay is not found: a buyer who asks again gets more units.
    NoReplay,
    /// The store writes an order on units that are another's.
    UnitClaimsIgnored,
    /// The store gives a buyer two live orders.
    BuyersPlaceIgnored,
    /// The writer takes a unit conflict for a written order.
    ConflictTakenForDone,
    /// An expiry ends a paid order.
    ExpiryIgnoresPayment,
    /// ADR 22: whoever ends an order does not ask what was charged for it.
    MoneyIsNotAskedFor,
    /// ADR 22: an order that was closed is charged all the same.
    ClosedIsCharged,
    /// An ended order keeps its claims.
    EndKeepsClaims,
    /// The sweeper's events go nowhere.
    SweeperPublishesNothing,
    /// A real one once (ADR 18): a raise counts on units that a lowering has just retired.
    RaiseCountsOnRetired,
    /// A real one once (ADR 18): a buyer whom Redis has forgotten is not found by an audit. Here `learn` does not mark them.
    ForgottenBuyer,
    /// Rule 2: an id is given to several reservations.
    IdsUsedTwice,
    /// Rule 3: `ack` takes out whatever entry the reservation has, with whichever units.
    AcknowledgeByReservation,
    /// Rule 7: units are offered of which the store does not know.
    RaiseNotInTheStore,
    /// Rule 8: nobody waits for a sale that heals.
    HealingIgnored,
    /// Rule 8: audits of a spike overlap.
    AuditsOverlap,
    /// The last unit is never sold.
    LastUnitIsKept,
    /// Who publishes panics.
    PublisherPanics,
    /// The writer's failures count as done.
    FailedDeliveryIsForgotten,
    /// After Redis has lost data, an order whose units are another's is rejected as if its buyer had a live order.
    RejectsForNothing,
    /// `reassign` finds no units, however many are on offer.
    NothingToReassign,
}

impl Mutation {
    /// The script with its defect, if it is this one's.
    #[must_use]
    pub fn script(self, code: &str) -> Option<String> {
        let (name, right, wrong) = self.edit()?;
        let is_it = code.contains(&format!("-- {name}: "));
        is_it.then(|| code.replace(right, wrong))
    }

    /// The plans under which it shows itself most often.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::ClosedIsCharged => Shape::PayersDie,
            Self::RaiseCountsOnRetired => Shape::Lowers,
            Self::ForgottenBuyer => Shape::Failover,
            Self::LateLoaderFills => Shape::Deletes,
            Self::EndStaysInRedis | Self::RulesStayInRedis => Shape::Rewrites,
            _ => Shape::Any,
        }
    }

    /// Of a defect in a script: its name, the right text and the wrong one.
    #[must_use]
    pub fn edit(self) -> Option<(&'static str, &'static str, &'static str)> {
        self.edit_of_reserve()
            .or_else(|| self.edit_of_configure())
            .or_else(|| self.edit_of_others())
    }

    fn edit_of_reserve(self) -> Option<(&'static str, &'static str, &'static str)> {
        let (right, wrong) = match self {
            Self::LimitIgnored => ("if quantity > sale[5] + 0 then", "if false then"),
            Self::VerdictIgnored => ("if verdict ~= '+' then", "if false then"),
            Self::NothingPending => ("call('ZADD', KEYS[4], now + 5000, buyer .. units)\n", ""),
            Self::LastUnitIsKept => ("if left < quantity then", "if left <= quantity then"),
            Self::NoReplay => ("if hold then", "if false then"),
            _ => return None,
        };
        Some(("reserve", right, wrong))
    }

    fn edit_of_configure(self) -> Option<(&'static str, &'static str, &'static str)> {
        let (right, wrong) = match self {
            Self::ConfigureIgnoresTheVersion => {
                ("local newer = ARGV[1] - sale[2]", "local newer = 1")
            }
            Self::EndStaysInRedis => ("'ends', ARGV[4], ", ""),
            Self::RulesStayInRedis => ("'guarded', ARGV[6],", ""),
            Self::PauseIgnored => ("if ARGV[2] ~= 'open' then", "if false then"),
            _ => return None,
        };
        Some(("configure", right, wrong))
    }

    fn edit_of_others(self) -> Option<(&'static str, &'static str, &'static str)> {
        Some(match self {
            Self::ReleaseByAge => (
                "due",
                "  call('ZREM', KEYS[1], entry)\n",
                "  call('ZREM', KEYS[1], entry)\n  if age > 60000 and unit then call('HDEL', KEYS[2], unit) \
                 call('SADD', string.gsub(KEYS[2], 'held', 'free') .. '', unit) end\n",
            ),
            Self::ReleaseWithoutCompare => (
                "release",
                "return value and string.match(value, '^[^|]*') == reservation",
                "return value and true",
            ),
            Self::ReleaseKeepsTheBuyer => (
                "release",
                "call('HDEL', KEYS[2], user)",
                "local kept = true",
            ),
            Self::LoadOverPresent => (
                "load",
                "if call('HEXISTS', KEYS[1], 'state') == 1 then",
                "if false then",
            ),
            Self::LateLoaderFills => (
                "load",
                "if call('GET', KEYS[5]) ~= ARGV[7] then return 'late' end\n",
                "",
            ),
            Self::OfferWhatIsHeld => ("offer", "if not holders[i - first + 1] and", "if"),
            Self::LearnWithoutCompare => (
                "learn",
                "if holder and holder ~= seen and holder ~= truth then return 0 end",
                "",
            ),
            Self::ForgottenBuyer => (
                "learn",
                "call('HSET', KEYS[2], user, truth .. '|' .. units)",
                "if holder ~= truth then call('HSET', KEYS[2], user, truth .. '|' .. units) end",
            ),
            Self::ReassignAgainAndAgain => (
                "reassign",
                "if standing == reservation and assigned ~= units then",
                "if false then",
            ),
            Self::NothingToReassign => ("reassign", "if left < wanted then", "if true then"),
            Self::AcknowledgeByReservation => (
                "ack",
                "return redis.call('ZREM', KEYS[1], unpack(ARGV))",
                "for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '9000000000000000', 'LIMIT', '0', '1000')) do \
                 for _, acked in ipairs(ARGV) do if string.match(entry, '^[^|]*') == string.match(acked, '^[^|]*') then \
                 redis.call('ZREM', KEYS[1], entry) end end end return #ARGV",
            ),
            Self::HealingIgnored => (
                "learn",
                "if sale[1] == 'open' and healing > tonumber(sale[2]) then",
                "if false then",
            ),
            Self::AuditsOverlap => (
                "lease_audit",
                "if not call('SET', KEYS[2], now, 'NX', 'PX', 35000) then return false end",
                "",
            ),
            _ => return None,
        })
    }
}
