//! A sale beside whatever a test does to the system.

use e2e::client::Call;
use serde_json::{Value, json};

use super::{Person, Stage};

/// A sale of three units, of which somebody has bought one.
pub(crate) struct Witness {
    stage: Stage,
    spike: String,
    buyer: Person,
    order: Value,
}

impl Stage {
    /// Opens one before something is done to the system.
    pub(crate) async fn witness(&self) -> Witness {
        let (spike, buyer) = (self.sale(json!({})).await, self.person().await);
        let order = self.buy(&buyer, &spike, 1).await;
        Witness {
            stage: self.clone(),
            spike,
            buyer,
            order,
        }
    }
}

impl Witness {
    /// What was bought is still bought, somebody else buys now, nobody else sees either, and every unit is in one place.
    pub(crate) async fn finds_all_well(self) {
        let Self {
            stage,
            spike,
            buyer,
            order,
        } = self;
        let now = stage.state(&buyer, &order, "placed").await;
        assert_eq!(now, order);
        let later = stage.person().await;
        let of_later = stage.buy(&later, &spike, 1).await;
        assert_ne!(of_later["units"], order["units"]);
        let path = format!("/orders/{}", order["order_id"].as_str().unwrap());
        let call = Call::get(path).bearer(&later.token);
        stage.send(call).await.expect("404 no-order");
        let stats = stage.at_rest(&spike).await;
        assert_eq!(stats["store"]["held"], 2, "{stats}");
    }
}
