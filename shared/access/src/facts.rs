//! What a rule may look at, as CEL values.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, Value};
use domain::{Spike, Timestamp, UserId};
use serde_json::Map;

use crate::patterns::Patterns;

/// The standard library, built once.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What the rules of one spike are asked about one user.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// `user.id`.
    pub user_id: UserId,
    /// `user.attributes`, which only the operator sets.
    pub attributes: &'a Map<String, serde_json::Value>,
    /// `spike`.
    pub spike: &'a Spike,
    /// `now`.
    pub now: Timestamp,
}

impl Facts<'_> {
    pub(crate) fn context(&self, patterns: &Patterns) -> Context<'static, 'static> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value("user", self.user());
        context.add_variable_from_value("spike", self.spike());
        context.add_variable_from_value("now", timestamp(self.now));
        patterns.declare(&mut context);
        context
    }

    fn user(&self) -> Value {
        object([
            ("id", self.user_id.to_string().into()),
            ("attributes", fields(self.attributes)),
        ])
    }

    fn spike(&self) -> Value {
        let settings = &self.spike.settings;
        let price = object([
            (
                "amount_minor",
                i64::try_from(settings.price.amount_minor)
                    .unwrap_or(i64::MAX)
                    .into(),
            ),
            ("currency", settings.price.currency.to_string().into()),
        ]);
        object([
            ("id", self.spike.id.to_string().into()),
            ("name", settings.name.clone().into()),
            ("starts_at", timestamp(settings.starts_at)),
            ("ends_at", timestamp(settings.ends_at)),
            ("limit_per_user", i64::from(settings.limit_per_user).into()),
            ("stock", i64::from(settings.stock).into()),
            ("price", price),
        ])
    }
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    HashMap::from(fields).into()
}

fn timestamp(at: Timestamp) -> Value {
    chrono::DateTime::from_timestamp_millis(at.as_millis())
        .map_or(Value::Null, |at| Value::Timestamp(at.fixed_offset()))
}

fn fields(map: &Map<String, serde_json::Value>) -> Value {
    map.iter()
        .map(|(name, value)| (name.clone(), value_of(value)))
        .collect::<HashMap<_, _>>()
        .into()
}

fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => (*flag).into(),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(real)) => real.into(),
            (None, None) => Value::Null,
        },
        serde_json::Value::String(text) => text.clone().into(),
        serde_json::Value::Array(items) => items.iter().map(value_of).collect::<Vec<_>>().into(),
        serde_json::Value::Object(map) => fields(map),
    }
}
