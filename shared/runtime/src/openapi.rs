//! Problems in the `OpenAPI` document of a function.
//!
//! A handler's `#[utoipa::path]` says what it does and its successes. [`describe`] then adds, from the registry,
//! the problems that its table lists, so that no handler repeats what a code means:
//!
//! ```text
//! pub fn openapi() -> OpenApi {
//!     runtime::openapi::describe(Api::openapi(), &[
//!         ("post", "/spikes/{spike_id}/orders/{token}", &[Code::SoldOut, Code::BadToken]),
//!     ])
//! }
//! ```

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, Header, OpenApi, Ref, RefOr, Response,
        example::ExampleBuilder,
        header::HeaderBuilder,
        path::{Operation, PathItem},
        schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaFormat, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::problem::{CONTENT_TYPE, Code, Problem};

/// The name of the security scheme that operations refer to: `security(("bearer" = []))`.
pub const BEARER: &str = "bearer";

/// What every operation with a body may answer.
const WITH_BODY: &[Code] = &[
    Code::Malformed,
    Code::BodyTimeout,
    Code::TooLarge,
    Code::UnsupportedMediaType,
];

/// Adds the listed problems to a function's operations, each as (method, path, codes).
///
/// Some come without being listed: an operation with a request body gets those of bodies, one with a `security`
/// requirement gets `unauthorized`, and each has `internal` as its `default` answer. The problem's schema and the
/// `bearer` scheme are added to the components.
///
/// # Panics
///
/// If the document lacks a listed operation: a slip of the pen that each function's test of its document finds.
#[must_use]
pub fn describe(mut openapi: OpenApi, problems: &[(&str, &str, &[Code])]) -> OpenApi {
    for (path, item) in &mut openapi.paths.paths {
        for (_, operation) in operations(item) {
            describe_always(operation, path);
        }
    }
    for (method, path, codes) in problems {
        let item = openapi.paths.paths.get_mut(*path);
        let mut found = item.into_iter().flat_map(operations);
        let found = found.find(|(name, _)| name == method);
        let (_, operation) = found.unwrap_or_else(|| panic!("no operation {method} {path}"));
        for code in *codes {
            add(operation, *code);
        }
    }
    let components = openapi.components.get_or_insert_with(Components::new);
    let name = Problem::name().into_owned();
    components.schemas.insert(name, Problem::schema());
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(BEARER, bearer);
    openapi
}

fn describe_always(operation: &mut Operation, path: &str) {
    if operation.request_body.is_some() {
        for code in WITH_BODY {
            add(operation, *code);
        }
    }
    if operation.security.as_ref().is_some_and(|s| !s.is_empty()) {
        add(operation, Code::Unauthorized);
    }
    if path.contains('{') {
        add(operation, Code::Malformed);
    }
    let mut other = Response::new("Any other problem: an error of ours, or of the way to us.");
    extend(&mut other, Code::Internal);
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), other.into());
}

/// Adds a problem to the answers of its status.
fn add(operation: &mut Operation, code: Code) {
    let responses = &mut operation.responses.responses;
    let status = code.status().as_str().to_owned();
    let response = responses
        .entry(status)
        .or_insert_with(|| Response::default().into());
    if let RefOr::T(response) = response {
        let line = format!("`{}`: {}", code.code(), code.meaning());
        if !response.description.contains(&line) {
            let gap = if response.description.is_empty() {
                ""
            } else {
                "\n\n"
            };
            response.description.push_str(gap);
            response.description.push_str(&line);
        }
        extend(response, code);
    }
}

/// Adds a code's example and header fields to an answer.
fn extend(response: &mut Response, code: Code) {
    let content = response.content.entry(CONTENT_TYPE.to_owned());
    let content = content
        .or_insert_with(|| Content::new(Some(Ref::from_schema_name(Problem::name()))).into());
    if let RefOr::T(content) = content {
        let mut problem = Problem::new(code);
        for (member, example) in code.members() {
            problem = problem.with(member, example);
        }
        let document: Value = serde_json::from_slice(&problem.body()).unwrap_or_default();
        let example = ExampleBuilder::new()
            .summary(code.title())
            .value(Some(document));
        let example = example.build().into();
        content.examples.insert(code.code().to_owned(), example);
    }
    for name in code.headers() {
        let header = RefOr::T(header(name));
        response.headers.entry((*name).to_owned()).or_insert(header);
    }
}

fn header(name: &str) -> Header {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let (schema, description, example) = match name {
        "Retry-After" => (
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(0)),
            "Seconds to wait before the next try.",
            json!(1),
        ),
        "Location" => (
            text().format(Some(SchemaFormat::Custom("uri-reference".to_owned()))),
            "Where an earlier try of yours shows, if there was one.",
            json!("/spikes/019a9f3c-7b1e-7000-8000-000000000001/order"),
        ),
        "WWW-Authenticate" => (text(), "The scheme, always `Bearer`.", json!("Bearer")),
        _ => (
            text(),
            "The methods that this address takes.",
            json!("GET,HEAD"),
        ),
    };
    HeaderBuilder::new()
        .schema(Some(schema.build()))
        .description(Some(description))
        .example(Some(example))
        .build()
}

/// The operations of a path with the names of their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    let present = |(name, operation)| Option::as_mut(operation).map(|found| (name, found));
    methods.into_iter().filter_map(present)
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(description))
        };
        let codes = Code::all().map(Code::code);
        let status = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("The HTTP status."));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A problem document, by RFC 9457."))
            .property(
                "type",
                text("`/problems/` and the code: a page that explains it."),
            )
            .property("title", text("Fixed for the code."))
            .property("status", status)
            .property(
                "code",
                text("Stable: branch on it.").enum_values(Some(codes)),
            )
            .property("detail", text("What is special about this one."))
            .required("type")
            .required("title")
            .required("status")
            .required("code")
            .required("detail")
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for Problem {}

#[cfg(test)]
mod tests;
