//! Imports through the router.

use super::*;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZlJ0c1V2bkx4Q3dQaEtkUw$6eUQ2bVRNr0dHWXqnMFyYpX0mJo3lGzT8sA5cW1uKkE";

#[tokio::test]
async fn an_import_creates_amends_and_reports_line_by_line() {
    let rig = rig().await;
    let ada = rig.made("ada").await;
    let lines = [
        json!({ "username": "Ada", "attributes": {"age": 36}, "display_name": "Ada" }).to_string(),
        String::new(),
        "{\"username\":\"bob\"".to_owned(),
        json!({ "username": "bob", "password_hash": HASH, "roles": ["admin"] }).to_string(),
        json!({ "username": "eve", "password_hash": "$1$weak" }).to_string(),
        json!({ "username": "bob", "attributes": {"age": 20} }).to_string(),
    ];
    let imported = rig.import(lines.join("\r\n")).await;
    let body = imported.ok();
    assert_eq!(
        (&body["created"], &body["amended"], &body["failed_total"]),
        (&json!(1), &json!(2), &json!(2))
    );
    let failed: Vec<u64> = body["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| bad["line"].as_u64().unwrap())
        .collect();
    assert_eq!(failed, [3, 5]);
    assert_eq!(
        body["users"][0],
        json!({ "username": "ada", "user_id": ada })
    );

    let bob = rig.get("/admin/users?username=bob").await.ok()["users"][0].clone();
    assert_eq!(
        (&bob["attributes"], &bob["roles"]),
        (&json!({"age": 20}), &json!(["admin"])),
        "the rest stays"
    );
    assert_eq!(
        (&bob["can_log_in"], &bob["version"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(bob["user_id"], body["users"][1]["user_id"]);
    let ada = rig.get("/admin/users?username=ada").await.ok()["users"][0].clone();
    assert_eq!(
        (&ada["attributes"], &ada["display_name"]),
        (&json!({"age": 36}), &json!("Ada"))
    );

    let again = rig.import(lines.join("\n")).await;
    assert_eq!(
        (&again.ok()["created"], &again.body["amended"]),
        (&json!(0), &json!(3))
    );
    let versions = rig.get("/admin/users?username=ada").await.ok()["users"][0]["version"].clone();
    assert_eq!(
        versions, ada["version"],
        "an account that is as wanted keeps its version"
    );
}

#[tokio::test]
async fn a_hash_that_is_replaced_or_cleared_ends_sessions_and_the_same_one_does_not() {
    let rig = rig().await;
    let other = HASH.replace("t=2", "t=3");
    let name = "ada".parse().unwrap();
    let mut versions = Vec::new();
    for line in [
        json!({ "username": "ada", "password_hash": HASH }),
        json!({ "username": "ada", "password_hash": HASH }),
        json!({ "username": "ada", "display_name": "Ada" }),
        json!({ "username": "ada", "password_hash": other }),
        json!({ "username": "ada", "password_hash": null }),
        json!({ "username": "ada", "password_hash": null }),
    ] {
        assert_eq!(rig.import(line.to_string()).await.ok()["failed_total"], 0);
        let users = rig.store.users_by_name(std::slice::from_ref(&name)).await;
        let ada = users.unwrap().remove(0).unwrap();
        versions.push((ada.credentials_version, ada.password_hash));
    }
    let hash = |hash: &str| Some(hash.to_owned());
    let first = versions[0].0;
    let expected = [
        (first, hash(HASH)),
        (first, hash(HASH)),
        (first, hash(HASH)),
        (first + 1, hash(&other)),
        (first + 2, None),
        (first + 2, None),
    ];
    assert_eq!(versions, expected);
}

#[tokio::test]
async fn imports_at_the_same_time_make_each_account_once() {
    let rig = rig().await;
    let text = |age: u32| -> String {
        let line =
            |n| json!({ "username": format!("user-{n}"), "attributes": {"age": age} }).to_string();
        (0..120).map(line).collect::<Vec<_>>().join("\n")
    };
    let (a, b) = tokio::join!(rig.import(text(1)), rig.import(text(2)));
    let sum = |field: &str| a.ok()[field].as_u64().unwrap() + b.ok()[field].as_u64().unwrap();
    assert_eq!(
        (sum("created"), sum("amended"), sum("failed_total")),
        (120, 120, 0)
    );
    let id_of = |answer: &Answer| {
        let mut users = answer.body["users"].as_array().unwrap().clone();
        users.sort_by_key(|user| user["username"].to_string());
        users
    };
    assert_eq!(id_of(&a), id_of(&b));
}

#[tokio::test]
async fn the_list_of_bad_lines_is_bounded() {
    let imported = rig().await.import("x\n".repeat(1500)).await;
    assert_eq!(imported.ok()["failed_total"], 1500);
    assert_eq!(imported.body["failed"].as_array().unwrap().len(), 1000);
}

#[tokio::test]
async fn imports_that_are_too_large_are_refused() {
    let rig = rig().await;
    rig.import(" ".repeat(5 * 1024 * 1024 + 1))
        .await
        .is(413, "too-large");
    rig.import("x\n".repeat(20_001)).await.is(413, "too-large");
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let endless =
        stream::poll_fn(move |_| Poll::Ready(Some(Ok::<_, std::io::Error>(chunk.clone()))));
    rig.import(Body::from_stream(endless))
        .await
        .is(413, "too-large");
    let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    rig.import(Body::from_stream(broken))
        .await
        .is(400, "malformed");
    let lines = |names: &str| -> String {
        let line = |n| json!({ "username": format!("{names}-{n}") }).to_string() + "\n";
        (0..7).map(line).collect()
    };
    let breaks_off = stream::iter([
        Ok(Bytes::from(lines("cut"))),
        Err(std::io::Error::other("gone")),
    ]);
    rig.import(Body::from_stream(breaks_off))
        .await
        .is(400, "malformed");
    rig.import(lines("long") + &"x\n".repeat(20_000))
        .await
        .is(413, "too-large");
    for name in ["cut-0", "cut-6", "long-0", "long-6"] {
        let found = rig.get(&format!("/admin/users?username={name}")).await;
        assert_eq!(found.ok()["users"][0]["username"], name, "those before");
    }
    let post = request(Method::POST, "/admin/users/import")
        .header(header::CONTENT_TYPE, "application/json");
    rig.send(post.body("{}".into()).unwrap())
        .await
        .is(415, "unsupported-media-type");
}

#[tokio::test]
async fn fault_28_hostile_texts_are_kept_as_texts() {
    let rig = rig().await;
    let hostile = json!({ "note": "'; DROP TABLE users; --", "b": "${7*7}", "c": "<script>", "d": "a\r\nSet-Cookie: x" });
    let line =
        json!({ "username": "ada", "attributes": hostile, "display_name": "<b>' OR 1=1</b>" });
    assert_eq!(rig.import(line.to_string()).await.ok()["created"], 1);
    let shown = rig.get("/admin/users?username=ada").await.ok()["users"][0].clone();
    assert_eq!(
        (&shown["attributes"], &shown["display_name"]),
        (&hostile, &line["display_name"])
    );
    for path in [
        "/admin/users/%27%20OR%201=1",
        "/admin/users/..%2f..%2fetc",
        "/admin/users?username=%0d%0ax",
        "/admin/users?cursor=%27",
    ] {
        rig.get(path).await.is(400, "malformed");
    }
}
