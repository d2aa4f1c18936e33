//! Access rules: CEL expressions that say who may buy, compiled once and evaluated for each buyer.
//!
//! A rule is text that an administrator wrote, so it is bounded twice. When it is saved, [`Filter::compile`] refuses
//! what is too long, too deep, unknown or too dear, and the parser runs on a stack of its own. What passes has a known
//! worst case over attributes within [`domain::user::check_attributes`]; larger attributes are not evaluated at all.
//!
//! Nothing defaults to yes: a rule that fails, panics or yields anything but `true` denies.
//!
//! Variables: `user.id`, `user.attributes.*`, `spike.{id, name, starts_at, ends_at, limit_per_user, stock, price}`
//! (`price.amount_minor`, `price.currency`) and `now`. Whole numbers of attributes are CEL `int`, others `double`.
//! The language: <https://github.com/google/cel-spec/blob/master/doc/langdef.md>.

mod cost;
mod facts;
mod parse;
mod patterns;
mod scan;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use cel::{Context, Value, common::ast::IdedExpr};
use domain::{Rule, Verdict};
use tokio::sync::{Semaphore, oneshot};

pub use facts::Facts;
use patterns::Patterns;

/// The longest rule, in bytes.
pub const MAX_SOURCE_BYTES: usize = 2048;

/// Of the thread that compiles. It is reserved, not used: a rule within bounds touches a small part of it.
const STACK_BYTES: usize = 16 << 20;

/// How many rules may be compiled at a time by [`compile`], so that saving cannot use up the machine's threads.
static COMPILERS: Semaphore = Semaphore::const_new(COMPILERS_AT_ONCE);
const COMPILERS_AT_ONCE: usize = 2;

/// A rule that no spike may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rule \"{name}\" {problem}")]
pub struct BadRule {
    /// The rule's name.
    pub name: String,
    /// What is wrong with it: the end of a sentence that begins with the rule. It never quotes the rule.
    pub problem: String,
}

/// The compiled rules of one spike.
#[derive(Debug)]
pub struct Filter {
    rules: Vec<Compiled>,
    patterns: Patterns,
}

#[derive(Debug)]
struct Compiled {
    name: String,
    reason: String,
    expression: IdedExpr,
}

/// Compiles without blocking the caller's thread. See [`Filter::compile`].
pub async fn compile(rules: &[Rule]) -> Result<Filter, BadRule> {
    let Ok(_permit) = COMPILERS.acquire().await else {
        return Err(not_checked(rules));
    };
    let (sender, receiver) = oneshot::channel();
    let owned = rules.to_vec();
    // The receiver may have gone away with its request; the result is then of no use to anybody.
    let started = on_big_stack(move || drop(sender.send(compile_all(&owned))));
    match started {
        Ok(_detached) => receiver.await.unwrap_or_else(|_| Err(not_checked(rules))),
        Err(_) => Err(not_checked(rules)),
    }
}

/// Whether [`compile`] has nothing under way: whoever decides the order of everything else has to wait for its threads.
#[must_use]
pub fn is_idle() -> bool {
    COMPILERS.available_permits() == COMPILERS_AT_ONCE
}

fn on_big_stack<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let builder = thread::Builder::new().name("access-compile".to_owned());
    builder.stack_size(STACK_BYTES).spawn(work)
}

fn not_checked(rules: &[Rule]) -> BadRule {
    BadRule {
        name: rules
            .first()
            .map(|rule| rule.name.clone())
            .unwrap_or_default(),
        problem: "could not be checked".to_owned(),
    }
}

fn compile_all(rules: &[Rule]) -> Result<Filter, BadRule> {
    let mut filter = Filter {
        rules: Vec::with_capacity(rules.len()),
        patterns: Patterns::default(),
    };
    let mut budget = cost::Budget::new();
    for rule in rules {
        let patterns = &mut filter.patterns;
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            parse::rule(&rule.allow_if, &mut budget, patterns)
        }));
        let problem = match compiled {
            Ok(Ok(expression)) => {
                let (name, reason) = (rule.name.clone(), rule.reason.clone());
                filter.rules.push(Compiled {
                    name,
                    reason,
                    expression,
                });
                continue;
            }
            Ok(Err(problem)) => problem.to_string(),
            Err(_) => "could not be read".to_owned(),
        };
        return Err(BadRule {
            name: rule.name.clone(),
            problem,
        });
    }
    Ok(filter)
}

impl Filter {
    /// Compiles the rules of a spike; none admit everybody. Blocks for the time of it (milliseconds) on a thread with
    /// a stack of 16 MiB. The first bad rule is the error.
    pub fn compile(rules: &[Rule]) -> Result<Self, BadRule> {
        let owned = rules.to_vec();
        let thread = on_big_stack(move || compile_all(&owned)).map_err(|_| not_checked(rules))?;
        thread.join().unwrap_or_else(|_| Err(not_checked(rules)))
    }

    /// Whether all rules hold; the reason is that of the first that does not, or that fails.
    #[must_use]
    pub fn verdict(&self, facts: &Facts<'_>) -> Verdict {
        let Some(first) = self.rules.first() else {
            return Verdict::Allowed;
        };
        if domain::user::check_attributes(facts.attributes).is_err() {
            tracing::warn!(user.id = %facts.user_id, "attributes are too large for access rules");
            return Verdict::Denied(first.reason.clone());
        }
        let verdict = catch_unwind(AssertUnwindSafe(|| self.evaluate(facts)));
        verdict.unwrap_or_else(|_| Verdict::Denied(first.reason.clone()))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        let context = facts.context(&self.patterns);
        let refused = self.rules.iter().find(|rule| !rule.holds(&context));
        refused.map_or(Verdict::Allowed, |rule| {
            Verdict::Denied(rule.reason.clone())
        })
    }
}

impl Compiled {
    fn holds(&self, context: &Context<'_, '_>) -> bool {
        if let Ok(Value::Bool(holds)) = Value::resolve(&self.expression, context) {
            return holds;
        }
        // What failed is not logged: the text of such errors carries the user's attributes.
        tracing::debug!(rule.name = self.name, "an access rule failed and denies");
        false
    }
}

#[cfg(test)]
mod tests;
