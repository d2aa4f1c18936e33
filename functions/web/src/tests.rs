use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    http::{Request, response::Parts},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

async fn call(path: &str, if_none_match: Option<&str>) -> (Parts, String) {
    let mut request = Request::get(path);
    if let Some(tag) = if_none_match {
        request = request.header("if-none-match", tag);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = runtime::app(router()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_file_has_its_type_and_a_version() {
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/assets/api.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
        ("/assets/session.js", "text/javascript; charset=utf-8"),
        ("/assets/spike.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/view.js", "text/javascript; charset=utf-8"),
        ("/openapi.json", "application/json"),
        ("/problems", "text/html; charset=utf-8"),
        ("/problems/sold-out", "text/html; charset=utf-8"),
    ] {
        let (parts, body) = call(path, None).await;
        assert_eq!(parts.status, 200, "{path}");
        assert_eq!(parts.headers["content-type"], content_type, "{path}");
        assert_eq!(parts.headers["cache-control"], "public, max-age=60");
        assert_eq!(parts.headers["x-content-type-options"], "nosniff");
        assert!(!body.is_empty());
        let etag = parts.headers["etag"].to_str().unwrap();
        for tag in [etag, "*", &format!("\"other\", W/{etag}")] {
            let (parts, body) = call(path, Some(tag)).await;
            assert_eq!((parts.status.as_u16(), body.as_str()), (304, ""), "{path}");
            assert_eq!(parts.headers["etag"], etag);
        }
        assert_eq!(call(path, Some("\"other\"")).await.0.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    for path in [
        "/assets/none.js",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/",
        "/problems/none",
        "/problems/SOLD-OUT",
    ] {
        let (parts, body) = call(path, None).await;
        assert_eq!(parts.status, 404, "{path}");
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        assert!(body.contains(r#""code":"not-found""#));
    }
    let (parts, _) = call("/problems/%ff", None).await;
    assert_eq!(parts.status, 400);
}

#[tokio::test]
async fn every_problem_code_has_a_page_that_explains_it() {
    let (_, list) = call("/problems", None).await;
    for code in Code::all() {
        let path = format!("/problems/{}", code.code());
        let (parts, page) = call(&path, None).await;
        assert_eq!(parts.status, 200, "{path}");
        assert!(
            page.contains(code.code()) && page.contains(code.title()),
            "{path}"
        );
        assert!(
            page.contains(code.status().as_str()) && !page.contains('`'),
            "{path}"
        );
        assert!(list.contains(&format!("href=\"{path}\"")), "{path}");
    }
}

#[tokio::test]
async fn a_page_runs_and_loads_only_what_is_served_here() {
    for path in ["/", "/problems", "/problems/sold-out"] {
        let (parts, page) = call(path, None).await;
        let policy = parts.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        for inline in [
            "<style",
            "style=",
            "onclick",
            "javascript:",
            "http://",
            "https://",
        ] {
            assert!(!page.contains(inline), "{path}: {inline}");
        }
        let scripts = page.matches("<script").count();
        assert_eq!(
            scripts,
            page.matches("<script type=\"module\" src=\"/assets/")
                .count()
        );
        for asset in between(&page, "=\"/assets/", "\"") {
            assert_eq!(
                call(&format!("/assets/{asset}"), None).await.0.status,
                200,
                "{asset}"
            );
        }
    }
}

/// The page's script and all that it imports, by name.
async fn scripts() -> BTreeMap<String, String> {
    let mut scripts = BTreeMap::new();
    let mut names = vec!["spike.js".to_owned()];
    while let Some(name) = names.pop() {
        let (parts, script) = call(&format!("/assets/{name}"), None).await;
        assert_eq!(parts.status, 200, "{name} is imported");
        names.extend(between(&script, " from \"./", "\"").map(str::to_owned));
        scripts.insert(name, script);
        names.retain(|name| !scripts.contains_key(name));
    }
    scripts
}

/// What stands after each `start`, up to `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> impl Iterator<Item = &'a str> {
    let rests = text.split(start).skip(1);
    rests.filter_map(move |rest| Some(rest.split_once(end)?.0))
}

#[tokio::test]
async fn no_script_makes_html_of_text() {
    for (name, script) in scripts().await {
        for dangerous in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!script.contains(dangerous), "{name}: {dangerous}");
        }
    }
}

#[tokio::test]
async fn scripts_import_and_look_for_only_what_is_there() {
    let scripts = scripts().await;
    let used: BTreeSet<_> = scripts.keys().map(String::as_str).collect();
    let served = ASSETS.iter().map(|(name, _)| *name);
    let served = served.filter(|name| name.strip_suffix(".js").is_some());
    assert_eq!(used, served.collect());
    let (_, page) = call("/", None).await;
    for (name, script) in &scripts {
        for id in between(script, "byId(\"", "\"") {
            assert!(page.contains(&format!("id=\"{id}\"")), "{name}: {id}");
        }
        for import in script.lines().filter(|line| line.starts_with("import ")) {
            let names = between(import, "{ ", " }").flat_map(|names| names.split(", "));
            let source = between(import, "\"./", "\"").next().unwrap();
            for item in names {
                let ways = ["function", "async function", "const", "class"];
                let exported = |way| scripts[source].contains(&format!("export {way} {item}"));
                assert!(ways.into_iter().any(exported), "{name}: {item}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_takes_the_user_names_that_the_api_takes() {
    let (_, page) = call("/", None).await;
    let (_, api) = call("/openapi.json", None).await;
    let api: serde_json::Value = serde_json::from_str(&api).unwrap();
    let name = &api["components"]["schemas"]["Username"]["pattern"];
    let name = name.as_str().unwrap().trim_matches(['^', '$']);
    // The page's attribute is a regular expression of the newer kind, where a hyphen in brackets is escaped.
    let attribute = format!("pattern=\"{}\"", name.replace("-]", "\\-]"));
    assert!(page.contains(&attribute), "{attribute}");
}

#[tokio::test]
async fn the_description_is_openapi_3_1() {
    let (_, body) = call("/openapi.json", None).await;
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(document["paths"].is_object());
}

#[test]
fn the_own_description_has_every_route() {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let paths: Vec<_> = paths.keys().map(String::as_str).collect();
    let expected = [
        "/",
        "/assets/{path}",
        "/openapi.json",
        "/problems",
        "/problems/{code}",
    ];
    assert_eq!(paths, expected);
    let missing = &document["paths"]["/problems/{code}"]["get"]["responses"]["404"];
    let content = &missing["content"]["application/problem+json"];
    assert_eq!(content["examples"]["not-found"]["value"]["status"], 404);
}
