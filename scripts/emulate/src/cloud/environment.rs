//! What functions are told: the names that `functions.tf` lists, with values of this machine.

use std::collections::BTreeMap;

use anyhow::bail;

use super::services::Ports;
use crate::{ACCOUNT, REGION, terraform::Declared};

/// Where everything is.
pub(super) struct Environment {
    pub(super) issuer: String,
    pub(super) ports: Ports,
    /// Of a name of `runtime::env`, the ARNs.
    pub(super) arns: BTreeMap<&'static str, String>,
    pub(super) queue: String,
    pub(super) prefix: String,
    pub(super) rate: u32,
    /// Whether a run of the sweeper goes on until the next one.
    pub(super) repeats: bool,
}

impl Environment {
    /// The variables of a function.
    pub(super) fn of(&self, function: &Declared) -> anyhow::Result<BTreeMap<String, String>> {
        let mut variables = self.endpoints();
        for name in &function.environment {
            variables.insert(name.clone(), self.value(name)?);
        }
        for name in &function.secrets {
            let Some(arns) = self.arns.get(name.as_str()) else {
                bail!("there is no secret for {name}");
            };
            variables.insert(format!("{name}_SECRET"), arns.clone());
        }
        Ok(variables)
    }

    /// Where AWS is, on this machine.
    fn endpoints(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for (service, port) in [
            ("DYNAMODB", self.ports.tables),
            ("SQS", self.ports.sqs),
            ("SECRETS_MANAGER", self.ports.secrets),
            ("LAMBDA", self.ports.lambda),
        ] {
            let name = format!("AWS_ENDPOINT_URL_{service}");
            variables.insert(name, format!("http://127.0.0.1:{port}"));
        }
        variables.insert("RUST_LOG".to_owned(), "info".to_owned());
        variables
    }

    fn value(&self, name: &str) -> anyhow::Result<String> {
        Ok(match name {
            "BUCKET_BURST" | "BUCKET_REFILL" => self.rate.to_string(),
            "EVENTS_URL" => format!(
                "sqs+http://127.0.0.1:{}/{ACCOUNT}/{}",
                self.ports.sqs, self.queue
            ),
            "FUNCTION_PREFIX" => self.prefix.clone(),
            "ISSUER" => self.issuer.clone(),
            "PASSWORD_HASHES_MAX" => "1".to_owned(),
            "REPEAT_SECS" => if self.repeats { "50" } else { "0" }.to_owned(),
            "STORE_URL" => format!("dynamodb://{REGION}?prefix={}", self.prefix),
            "ACCESS_CHECK_BUYERS_PER_INSTANCE"
            | "SPIKE_BUYERS_PER_INSTANCE"
            | "SPIKE_TOKEN_BUYERS_PER_INSTANCE" => "50".to_owned(),
            "GUARD_SECS" => "120".to_owned(),
            "INSTANCES_MAX" => "100".to_owned(),
            "LEAD_SECS" => "600".to_owned(),
            _ => bail!("there is no value for {name}"),
        })
    }
}
