//! Regular expressions of rules, compiled when the rule is saved.
//!
//! CEL's own `matches` compiles its pattern at each call, with limits of megabytes. Here a pattern must be a literal,
//! so that it is compiled once, by an engine that cannot backtrack (time linear in the text), with small limits.

use std::{collections::BTreeMap, sync::Arc};

use cel::{Context, ExecutionError, extractors::This};
use regex_lite::{Regex, RegexBuilder};

use crate::parse::Problem;

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 128;
/// How large a compiled pattern may become, in bytes: about 250 states.
const MAX_COMPILED_BYTES: usize = 8 << 10;
/// How deep groups may stand in each other.
const MAX_GROUPS: u32 = 16;

/// The patterns of a filter's rules by their text.
#[derive(Debug, Default, Clone)]
pub(crate) struct Patterns(Arc<BTreeMap<String, Regex>>);

impl Patterns {
    /// Compiles one more pattern.
    pub(crate) fn add(&mut self, pattern: &str) -> Result<(), Problem> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(Problem::Pattern);
        }
        if self.0.contains_key(pattern) {
            return Ok(());
        }
        let mut builder = RegexBuilder::new(pattern);
        builder
            .size_limit(MAX_COMPILED_BYTES)
            .nest_limit(MAX_GROUPS);
        let compiled = builder.build().map_err(|_| Problem::Pattern)?;
        Arc::make_mut(&mut self.0).insert(pattern.to_owned(), compiled);
        Ok(())
    }

    /// Declares `text.matches(pattern)` and `matches(text, pattern)`.
    pub(crate) fn declare(&self, context: &mut Context<'_, '_>) {
        if self.0.is_empty() {
            return;
        }
        let patterns = Arc::clone(&self.0);
        let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
            let known = patterns.get(pattern.as_str());
            known
                .map(|regex| regex.is_match(&text))
                .ok_or_else(|| ExecutionError::undeclared_reference("matches"))
        };
        if context.add_function("matches", matches).is_err() {
            // Undeclared, the rules that call it fail, and so deny.
            tracing::error!("the rules' `matches` could not be declared");
        }
    }
}
