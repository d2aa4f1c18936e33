//! The services that functions call.

use std::sync::Arc;

use crate::{
    capacity::Provisioned,
    http::Server,
    queue::{Queue, SqsApi},
    secrets::Secrets,
    tables::Tables,
};

/// What SQS, DynamoDB and Secrets Manager take at most, and more.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where they listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) sqs: u16,
    pub(super) tables: u16,
    pub(super) secrets: u16,
    pub(super) lambda: u16,
}

/// Running services.
pub(super) struct Services {
    pub(super) sqs: Arc<SqsApi>,
    pub(super) tables: Arc<Tables>,
    pub(super) ports: Ports,
    pub(super) servers: Vec<Server>,
}

impl Services {
    pub(super) fn start(
        engine: u16,
        orders: &Arc<Queue>,
        secrets: Secrets,
        provisioned: &Arc<Provisioned>,
    ) -> anyhow::Result<Self> {
        let sqs = Arc::new(SqsApi::new(vec![Arc::clone(orders)]));
        let tables = Arc::new(Tables::new(engine));
        let secrets = Arc::new(secrets);
        let asked = Arc::clone(&sqs);
        let sqs_server = Server::tcp(local::listen(0)?, REQUEST_BYTES_MAX, move |request| {
            let sqs = Arc::clone(&asked);
            async move { sqs.answer(&request) }
        })?;
        let asked = Arc::clone(&tables);
        let tables_server = Server::tcp(local::listen(0)?, REQUEST_BYTES_MAX, move |request| {
            let tables = Arc::clone(&asked);
            async move { tables.answer(request).await }
        })?;
        let secrets_server = Server::tcp(local::listen(0)?, REQUEST_BYTES_MAX, move |request| {
            let secrets = Arc::clone(&secrets);
            async move { secrets.answer(&request) }
        })?;
        let provisioned = Arc::clone(provisioned);
        let lambda_server = Server::tcp(local::listen(0)?, REQUEST_BYTES_MAX, move |request| {
            let provisioned = Arc::clone(&provisioned);
            async move { provisioned.answer(&request) }
        })?;
        Ok(Self {
            sqs,
            tables,
            ports: Ports {
                sqs: sqs_server.port,
                tables: tables_server.port,
                secrets: secrets_server.port,
                lambda: lambda_server.port,
            },
            servers: vec![sqs_server, tables_server, secrets_server, lambda_server],
        })
    }
}
