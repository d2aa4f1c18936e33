use http::Method;
use serde_json::json;

use super::*;
use crate::testing::{Shop, buyers};

/// How an attempt ends that gets this answer to its order.
async fn end(status: u16, code: &str, quantity: u32) -> End {
    let shop = Shop {
        instead: Some((Method::POST, "/orders/t", status, json!({ "code": code }))),
        ..Shop::default()
    };
    let sale = shop.sale(quantity).await;
    sale.buy(&buyers(0..1)[0], Instant::now()).await
}

#[tokio::test]
async fn only_too_few_units_are_a_proper_refusal() {
    for (status, code, quantity, is_refusal) in [
        (409, "sold-out", 1, true),
        (409, "sold-out", 2, true),
        (409, "not-enough", 2, true),
        (409, "not-enough", 1, false),
        (409, "over-limit", 1, false),
        (403, "denied", 1, false),
        (404, "bad-token", 1, false),
        (410, "ended", 1, false),
        (500, "internal", 1, false),
    ] {
        let end = end(status, code, quantity).await;
        let as_expected = match &end {
            End::Refused(outcome) => is_refusal && *outcome == format!("{status} {code}"),
            End::Failed(reason) => !is_refusal && reason.contains(code),
            End::Bought(_) => false,
        };
        assert!(as_expected, "{status} {code} for {quantity}: {end:?}");
    }
}

#[tokio::test]
async fn who_is_kept_out_before_the_order_was_not_served() {
    let closed = |method, path, status, body| Shop {
        units: 1,
        instead: Some((method, path, status, body)),
        ..Shop::default()
    };
    for shop in [
        closed(Method::GET, "/access", 200, json!({ "allowed": false })),
        closed(Method::GET, "/access", 403, json!({ "code": "denied" })),
        closed(Method::POST, "/token", 409, json!({ "code": "sold-out" })),
    ] {
        let end = shop
            .sale(1)
            .await
            .buy(&buyers(0..1)[0], Instant::now())
            .await;
        assert!(matches!(end, End::Failed(_)), "{end:?}");
    }
}

#[tokio::test]
async fn who_wins_has_an_order() {
    let shop = Shop {
        units: 1,
        ..Shop::default()
    };
    let sale = shop.sale(1).await;
    let [first, second] = &buyers(0..2)[..] else {
        panic!("two buyers")
    };
    let end = sale.buy(first, Instant::now()).await;
    assert!(matches!(end, End::Bought(_)), "{end:?}");
    let end = sale.buy(second, Instant::now()).await;
    assert!(matches!(end, End::Refused(_)), "{end:?}");
}
