//! Binary of `web`: nothing to connect, it only serves what was built in.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::telemetry::init("web");
    runtime::serve(web::router()).await
}
