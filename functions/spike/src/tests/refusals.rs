use std::time::Duration;

use axum::{body::Body, http::Request};
use domain::{SpikeId, Verdict};
use runtime::Code;
use sale::testing::user;
use serde_json::json;
use stock::Release;

use super::shop::{NO_BUCKET, Shop};
use crate::{Error, Rates};

#[tokio::test]
async fn a_flag_answers_without_redis_and_lets_buyers_pass() {
    let mut shop = Shop::of(1).await;
    let ada = user();
    let order_id = shop.buy(ada).await.order_id();
    shop.buy(user()).await.assert_problem(409, "sold-out");
    assert_eq!(
        shop.buy(ada).await.order_id(),
        order_id,
        "a buyer is let pass"
    );
    shop.sale.redis.stop();
    let refused = shop.buy(user()).await;
    refused.assert_problem(409, "sold-out");
    assert_eq!(refused.headers["location"], shop.location().as_str());
    let nobody = Request::post(format!("/spikes/{}/orders/x", shop.sale.spike.id));
    shop.send(nobody.body(Body::empty()).unwrap())
        .await
        .assert_problem(409, "sold-out");
    shop.buy(ada).await.assert_problem(503, "unavailable");
    shop.pass(1_000);
    shop.buy(user()).await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn fault_35_a_unit_that_is_given_back_can_be_bought_within_a_second() {
    let shop = Shop::of(1).await;
    let placed = shop.sale.reserve(user(), 1).await;
    shop.buy(user()).await.assert_problem(409, "sold-out");
    let release = Release {
        spike_id: placed.spike_id,
        order_id: placed.order_id,
        user_id: placed.user_id,
        units: &placed.units,
        keep: &domain::Units::none(),
    };
    shop.sale.stock.release(&release).await.unwrap();
    shop.buy(user()).await.assert_problem(409, "sold-out");
    shop.pass(1_000);
    shop.buy(user()).await.order_id();
}

#[tokio::test]
async fn fewer_units_than_asked_for_raise_no_flag() {
    let shop = Shop::of(3).await;
    let refused = shop.buy_many(user(), 4).await;
    refused.assert_problem(409, "not-enough");
    assert_eq!(refused.body["left"], 3);
    shop.buy_many(user(), 3).await.order_id();
}

#[tokio::test]
async fn before_the_start_it_says_when_to_come_back() {
    let shop = Shop::with(NO_BUCKET, |settings| {
        settings.starts_at = settings.ends_at - Duration::from_secs(1);
    })
    .await;
    let early = shop.buy(user()).await;
    early.assert_problem(425, "too-early");
    assert_eq!(early.headers["retry-after"], "30");
}

#[tokio::test]
async fn an_ended_sale_is_gone_also_when_redis_has_forgotten_it() {
    let shop = Shop::with(NO_BUCKET, |settings| {
        settings.ends_at = settings.starts_at + Duration::from_secs(1);
    })
    .await;
    let ended = shop.buy(user()).await;
    ended.assert_problem(410, "ended");
    assert_eq!(ended.headers["location"], shop.location().as_str());
    shop.sale.redis.flush().await;
    shop.pass(1_000);
    shop.buy(user()).await.assert_problem(410, "ended");
}

#[tokio::test]
async fn a_paused_sale_answers_its_buyers_only() {
    let shop = Shop::of(3).await;
    let ada = user();
    let order_id = shop.buy(ada).await.order_id();
    let mut spike = shop.sale.spike.clone();
    (spike.version, spike.paused) = (2, true);
    shop.sale
        .stock
        .configure(&stock::Config::of(&spike))
        .await
        .unwrap();
    for _ in 0..2 {
        shop.buy(user()).await.assert_problem(409, "paused");
        assert_eq!(shop.buy(ada).await.order_id(), order_id);
    }
    (spike.version, spike.paused) = (3, false);
    shop.sale
        .stock
        .configure(&stock::Config::of(&spike))
        .await
        .unwrap();
    shop.pass(1_000);
    shop.buy(user()).await.order_id();
}

#[tokio::test]
async fn a_quantity_has_limits() {
    let shop = Shop::with(NO_BUCKET, |settings| settings.limit_per_user = 2).await;
    for quantity in [0, 3, 11, u32::MAX] {
        let refused = shop.buy_many(user(), quantity).await;
        refused.assert_problem(422, "over-limit");
        assert_eq!(refused.body["limit"], 2, "{quantity}");
    }
    shop.buy_many(user(), 2).await.order_id();
}

#[tokio::test]
async fn whoever_has_an_order_gets_it_whatever_quantity_they_ask_for() {
    let shop = Shop::with(NO_BUCKET, |settings| settings.limit_per_user = 2).await;
    let ada = user();
    let order_id = shop.buy_many(ada, 2).await.order_id();
    for quantity in [0, 1, 11, u32::MAX] {
        let replay = shop.buy_many(ada, quantity).await;
        assert_eq!(replay.order_id(), order_id, "{quantity}");
        assert_eq!(replay.body["quantity"], 2, "{quantity}");
        shop.pass(1_000);
    }
}

#[test]
fn a_defect_is_internal_and_an_outage_is_not() {
    let spike_id = SpikeId::mint(domain::Timestamp::from_millis(1), [1; 10]);
    let code = |error: Error| error.problem(spike_id).code();
    let away = || store::Error::Unavailable("away".into());
    let corrupt = || store::Error::Corrupt("?".into());
    assert_eq!(code(sale::Error::from(corrupt()).into()), Code::Internal);
    assert_eq!(code(sale::Error::from(away()).into()), Code::Unavailable);
    assert_eq!(
        code(stock::Error::Unreadable("?".into()).into()),
        Code::Internal
    );
    assert_eq!(code(stock::Error::OutOfMemory.into()), Code::Unavailable);
}

#[tokio::test]
async fn a_denial_that_redis_remembers_is_given_with_its_reason() {
    let rule = domain::Rule {
        name: "none".into(),
        allow_if: "false".into(),
        reason: "Nobody.".into(),
    };
    let shop = Shop::with(NO_BUCKET, |settings| settings.rules = vec![rule]).await;
    let ada = user();
    let verdict = Verdict::Denied("Not you.".into());
    shop.sale
        .stock
        .remember_verdict(shop.sale.spike.id, ada, &verdict)
        .await
        .unwrap();
    let denied = shop.buy(ada).await;
    denied.assert_problem(403, "denied");
    assert_eq!(denied.body["detail"], "Not you.");
}

#[tokio::test]
async fn a_sale_that_somebody_else_loads_or_heals_is_waited_for() {
    let shop = Shop::of(3).await;
    let lost = shop.sale.lost(&[1]);
    let truth = stock::Truth::Order {
        order_id: lost.order_id,
        user_id: lost.user_id,
        units: lost.units,
    };
    shop.sale
        .stock
        .learn(lost.spike_id, 1, &truth, None, 2_000)
        .await
        .unwrap();
    shop.buy(user()).await.assert_problem(503, "healing");
    shop.sale.redis.flush().await;
    let lock = shop.sale.stock.lock_loading(shop.sale.spike.id).await;
    assert!(lock.unwrap().is_some());
    shop.buy(user()).await.assert_problem(503, "loading");
}

#[tokio::test]
async fn redis_away_is_unavailable() {
    let mut shop = Shop::of(3).await;
    shop.sale.redis.stop();
    shop.buy(user()).await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn an_instance_lets_twice_the_stock_through_at_once() {
    let shop = Shop::with(Rates::default(), |settings| settings.stock = 2).await;
    for _ in 0..4 {
        let nobody = Request::post(format!("/spikes/{}/orders/x", shop.sale.spike.id));
        shop.send(nobody.body(Body::empty()).unwrap())
            .await
            .assert_problem(401, "unauthorized");
    }
    shop.buy(user()).await.assert_problem(503, "busy");
    shop.pass(250);
    shop.buy(user()).await.order_id();
}

#[tokio::test]
async fn a_user_has_five_tries_a_second() {
    let shop = Shop::of(3).await;
    let ada = user();
    for _ in 0..5 {
        shop.buy(ada).await.order_id();
    }
    shop.buy(ada).await.assert_problem(429, "slow-down");
    shop.buy(user()).await.order_id();
}

#[tokio::test]
async fn without_an_access_token_there_is_nothing() {
    let shop = Shop::of(3).await;
    let ada = user();
    let now = shop.sale.stock.now();
    let path = shop
        .purchase(ada)
        .body(Body::empty())
        .unwrap()
        .uri()
        .clone();
    let bare = shop
        .send(Request::post(path.clone()).body(Body::empty()).unwrap())
        .await;
    bare.assert_problem(401, "unauthorized");
    assert_eq!(bare.headers["www-authenticate"], "Bearer");
    for (name, forged) in auth::testing::forgeries(ada, now) {
        let request =
            Request::post(path.clone()).header("authorization", format!("Bearer {forged}"));
        let refused = shop.send(request.body(Body::empty()).unwrap()).await;
        refused.assert_problem(401, "unauthorized");
        assert_eq!(refused.body, bare.body, "{name}");
    }
}

#[tokio::test]
async fn fault_31_guesses_are_told_what_unknown_spikes_are_told_and_run_out() {
    let shop = Shop::of(3).await;
    let (ada, eve) = (user(), user());
    let unknown = shop.purchase_at(SpikeId::mint(shop.sale.stock.now(), auth::random()), eve);
    let unknown = shop.send(unknown.body(Body::empty()).unwrap()).await;
    unknown.assert_problem(404, "bad-token");
    let stolen = shop
        .purchase(ada)
        .body(Body::empty())
        .unwrap()
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let mut limited = 0;
    for guess in [
        "x",
        "AAAAAAAAAAAAAAAAAAAAAA",
        &stolen,
        "%00",
        "x",
        "x",
        "x",
        "x",
    ] {
        let mut request = shop.purchase(eve).body(Body::empty()).unwrap();
        *request.uri_mut() = format!("/spikes/{}/orders/{guess}", shop.sale.spike.id)
            .parse()
            .unwrap();
        let refused = shop.send(request).await;
        if refused.status == 429 {
            limited += 1;
        } else {
            refused.assert_problem(404, "bad-token");
            assert_eq!(refused.body, unknown.body);
        }
    }
    assert_eq!(limited, 3);
    assert_eq!(shop.sink.arrived(), []);
}

#[tokio::test]
async fn a_path_token_of_five_minutes_ago_is_no_longer_accepted() {
    let shop = Shop::of(3).await;
    let (ada, now) = (user(), shop.sale.stock.now());
    for (minutes, status) in [(1, 202), (5, 404)] {
        let then = now - Duration::from_secs(60 * minutes);
        let old = super::shop::path_tokens().token(shop.sale.spike.id, ada, then);
        let mut request = shop.purchase(ada).body(Body::empty()).unwrap();
        *request.uri_mut() = format!("/spikes/{}/orders/{old}", shop.sale.spike.id)
            .parse()
            .unwrap();
        assert_eq!(shop.send(request).await.status, status, "{minutes}");
    }
}

#[tokio::test]
async fn unknown_ids_share_one_bucket_and_leave_known_spikes_alone() {
    let shop = Shop::of(3).await;
    shop.buy(user()).await.order_id();
    let eve = user();
    let guess = |n: u8| {
        shop.purchase_at(SpikeId::mint(shop.sale.stock.now(), [n; 10]), eve)
            .body(Body::empty())
    };
    let mut busy = 0;
    for n in 0..120 {
        let refused = shop.send(guess(n).unwrap()).await;
        busy += u32::from(refused.status == 503);
    }
    assert_eq!(busy, 21, "one look-up was the known spike's");
    shop.pass(10_000);
    shop.buy(user()).await.order_id();
}

#[tokio::test]
async fn fault_22_a_body_that_is_not_ours_is_refused_and_not_echoed() {
    let shop = Shop::of(3).await;
    let bodies: [&[u8]; 8] = [
        b"{",
        b"null",
        b"[]",
        b"{\"quantity\":\"1\"}",
        b"{\"quantity\":-1}",
        b"{\"quantity\":1,\"quantity\":2}",
        b"{\"hunter2\":1}",
        b"{\"quantity\":\xff}",
    ];
    for body in bodies {
        let refused = shop.buy_with(user(), body.to_vec()).await;
        refused.assert_problem(400, "malformed");
        assert!(!refused.body.to_string().contains("hunter2"));
    }
    let deep = "[".repeat(10_000);
    shop.buy_with(user(), deep)
        .await
        .assert_problem(400, "malformed");
    shop.buy_with(user(), "x".repeat(20_000))
        .await
        .assert_problem(413, "too-large");
    let untyped = shop.purchase(user()).body(Body::from("{}")).unwrap();
    shop.send(untyped)
        .await
        .assert_problem(415, "unsupported-media-type");
    assert_eq!(shop.sink.arrived(), []);
}

#[tokio::test]
async fn fault_28_what_is_no_id_is_malformed() {
    let shop = Shop::of(3).await;
    for id in [
        "x",
        "%27%20OR%201=1",
        "..%2f..%2fetc",
        "a%0d%0aSet-Cookie:%20b",
        "%ff",
    ] {
        let request = Request::post(format!("/spikes/{id}/orders/x"))
            .body(Body::empty())
            .unwrap();
        shop.send(request).await.assert_problem(400, "malformed");
    }
}

#[tokio::test]
async fn another_method_is_not_allowed() {
    let shop = Shop::of(3).await;
    let path = format!("/spikes/{}/orders/x", shop.sale.spike.id);
    let refused = shop
        .send(Request::get(path).body(Body::empty()).unwrap())
        .await;
    refused.assert_problem(405, "method-not-allowed");
    assert_eq!(refused.body["status"], json!(405));
}
