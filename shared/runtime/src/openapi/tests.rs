use utoipa::openapi::{
    HttpMethod, InfoBuilder, OpenApiBuilder, PathsBuilder, ResponseBuilder, path::OperationBuilder,
    request_body::RequestBodyBuilder, security::SecurityRequirement,
};

use super::*;

fn document(operation: OperationBuilder, codes: &[Code]) -> Value {
    let item = PathItem::new(HttpMethod::Post, operation);
    let openapi = OpenApiBuilder::new()
        .info(InfoBuilder::new().title("t").version("1").build())
        .paths(PathsBuilder::new().path("/things", item))
        .build();
    let openapi = describe(openapi, &[("post", "/things", codes)]);
    serde_json::to_value(openapi).unwrap()
}

#[test]
fn problems_of_one_status_share_an_answer_with_an_example_each() {
    let document = document(OperationBuilder::new(), &[Code::SoldOut, Code::NotEnough]);
    let answer = &document["paths"]["/things"]["post"]["responses"]["409"];
    let content = &answer["content"][CONTENT_TYPE];
    assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem");
    let examples = &content["examples"];
    assert_eq!(examples["sold-out"]["value"]["code"], "sold-out");
    assert_eq!(examples["not-enough"]["value"]["left"], 1);
    assert!(answer["headers"]["Location"].is_object());
    let description = answer["description"].as_str().unwrap();
    assert!(description.contains("`sold-out`") && description.contains("`not-enough`"));
}

#[test]
fn a_status_that_the_handler_describes_keeps_what_it_says() {
    let answer = ResponseBuilder::new().description("Ours.").build();
    let operation = OperationBuilder::new().response("409", answer);
    let document = document(operation, &[Code::Paused, Code::Paused]);
    let answer = &document["paths"]["/things"]["post"]["responses"]["409"];
    let description = answer["description"].as_str().unwrap();
    let expected = "Ours.\n\n`paused`: The operator has paused this spike.";
    assert_eq!(description, expected);
}

#[test]
fn bodies_and_tokens_bring_their_problems_along() {
    let security = SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, []);
    let operation = OperationBuilder::new()
        .request_body(Some(RequestBodyBuilder::new().build()))
        .security(security);
    let document = document(operation, &[]);
    let responses = &document["paths"]["/things"]["post"]["responses"];
    for status in ["400", "401", "408", "413", "415", "default"] {
        assert!(responses[status].is_object(), "{status}");
    }
    assert!(responses["401"]["headers"]["WWW-Authenticate"].is_object());
    let scheme = &document["components"]["securitySchemes"]["bearer"]["scheme"];
    assert_eq!(scheme, "bearer");
}

#[test]
#[should_panic(expected = "no operation get /things")]
fn an_operation_that_is_not_there_is_noticed() {
    let item = PathItem::new(HttpMethod::Post, OperationBuilder::new());
    let openapi = OpenApiBuilder::new()
        .paths(PathsBuilder::new().path("/things", item))
        .build();
    let _ = describe(openapi, &[("get", "/things", &[])]);
}
