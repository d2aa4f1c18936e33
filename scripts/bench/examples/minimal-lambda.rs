//! The least that Lambda can run behind a gateway: what the starts of functions are compared with.

use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let answer = async |_: Request| {
        let answer = Response::builder().status(204).body(Body::Empty);
        answer.map_err(Error::from)
    };
    lambda_http::run(service_fn(answer)).await
}
