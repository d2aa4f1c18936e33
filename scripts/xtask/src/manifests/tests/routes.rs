//! The rules about addresses: what is public, who calls what is not, and where events go.

use super::finds;

const ROUTES: &str = "knative/base/gateway/routes.conf";

#[test]
fn a_route_that_the_gateway_lacks_or_sends_elsewhere_is_found() {
    let line = "    ~^/users/login(\\?|$) login;\n";
    finds(ROUTES, line, "", r"lacks ~^/users/login(\?|$) login");
    let other = line.replace(" login;", " register;");
    finds(
        ROUTES,
        line,
        &other,
        "register, which is no public route of the code",
    );
}

#[test]
fn a_private_route_on_the_public_address_is_found() {
    let line = "    ~^/users(\\?|$) register;\n";
    let with = format!("{line}    ~^/events/order-placed(\\?|$) order-writer;\n");
    finds(
        ROUTES,
        line,
        &with,
        "order-writer, which is no public route of the code",
    );
    finds(ROUTES, "default \"\"", "default web", "has to be nobody's");
}

#[test]
fn a_route_that_only_the_code_has_is_found() {
    let (file, good) = ("functions/login/src/lib.rs", "\"/users/login\"");
    finds(
        file,
        good,
        "\"/users/enter\"",
        r"lacks ~^/users/enter(\?|$) login",
    );
    finds(
        file,
        good,
        "\"/users/enter\"",
        "openapi.json: lacks /users/enter",
    );
}

#[test]
fn a_wrong_http_route_is_found() {
    let file = "knative/overlays/gateway-api/routes.yaml";
    let good = "{ type: Exact, value: /users/login }";
    finds(
        file,
        good,
        "{ type: PathPrefix, value: /users/login }",
        "lacks Exact /users/login login",
    );
    finds(
        file,
        "hostname: login.spike.svc",
        "hostname: keys.spike.svc",
        "/users/login keys",
    );
}

#[test]
fn another_namespace_is_found() {
    let (file, good) = ("knative/base/gateway/upstreams.conf", "$function.spike.svc");
    finds(
        file,
        good,
        "$function.shop.svc",
        "names another namespace than spike",
    );
    let (file, good) = ("knative/base/services/prewarm.yaml", "value: spike\n");
    finds(
        file,
        good,
        "value: shop\n",
        "names another namespace than spike",
    );
    let (file, good) = ("knative/overlays/gateway-api/routes.yaml", "keys.spike.svc");
    finds(
        file,
        good,
        "keys.shop.svc",
        "names another namespace than spike",
    );
}

#[test]
fn other_words_in_a_refusal_are_found() {
    let file = "knative/base/gateway/problems.conf";
    finds(
        file,
        "There is nothing at this address.",
        "Nothing here.",
        "is no detail of the code",
    );
}

#[test]
fn a_caller_of_a_route_that_is_not_there_is_found() {
    let (file, good) = ("knative/base/eventing/sweep.yaml", "/timers/sweep");
    finds(
        file,
        good,
        "/timers/swept",
        "calls /timers/swept of sweeper",
    );
    finds(
        file,
        good,
        "/timers/swept",
        "sweeper: nothing calls its route /timers/sweep",
    );
    let broker = "knative/base/eventing/broker.yaml";
    finds(
        broker,
        "uri: /events/dead-letter",
        "uri: /admin/dead-letters",
        "no such private route",
    );
}

#[test]
fn a_publisher_without_a_sink_is_found_and_a_sink_without_a_publisher() {
    let file = "knative/base/eventing/sinks.yaml";
    let (good, bad) = (
        "kind: Service, name: sweeper }",
        "kind: Service, name: keys }",
    );
    finds(file, good, bad, "sweeper: publishes events");
    finds(file, good, bad, "keys: has a SinkBinding");
}
