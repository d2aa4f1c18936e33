//! What a rule can cost at worst, before it is ever evaluated.
//!
//! Every expression gets a bound on its cost and on the size of its value, from the literals in it and from the bounds
//! on attributes. One step of the interpreter costs [`STEP`]; what walks through a value costs its size (of texts, an
//! eighth). A loop over a list `L` whose elements have the sizes `s1 + .. + sn <= |L|` costs at most
//! `n * body(0) + body(|L|)`: the body's cost is convex in the element's size, because only sums, products and maxima
//! of sizes occur. So a loop over long texts is not charged as if each were as long as all of them together.
//!
//! The same walk allows only known names and functions and collects the patterns of `matches`.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use crate::{parse::Problem, patterns::Patterns};

/// One step of the interpreter: about a tenth of a microsecond.
const STEP: u64 = 8;
/// All rules of a spike together: some tens of milliseconds at the very worst.
const BUDGET: u64 = 2 << 20;
/// How deep expressions may stand in each other; evaluating and dropping them recurses.
const MAX_DEPTH: u32 = 40;
/// How many loops may stand in each other.
const MAX_LOOPS: usize = 3;
/// The size of `user.attributes`: its JSON text.
const ATTRIBUTES: u64 = domain::user::MAX_ATTRIBUTES_BYTES as u64;
/// The size of `spike`: a name of 200 characters and some numbers.
const SPIKE: u64 = 1024;
/// The size of an id.
const ID: u64 = 40;

const TYPES: [&str; 11] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
    "google.protobuf.Timestamp",
];
const SPIKE_FIELDS: [&str; 7] = [
    "id",
    "name",
    "starts_at",
    "ends_at",
    "limit_per_user",
    "stock",
    "price",
];

/// What is left for the rules of one spike.
pub(crate) struct Budget(u64);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(BUDGET)
    }
}

/// Checks a parsed rule and takes its worst case from the budget.
pub(crate) fn check(
    rule: &IdedExpr,
    budget: &mut Budget,
    patterns: &mut Patterns,
) -> Result<(), Problem> {
    let mut walk = Walk {
        patterns,
        scopes: Vec::new(),
        loops: 0,
        depth: 0,
    };
    let bound = walk.expression(rule)?;
    budget.0 = budget.0.checked_sub(bound.cost).ok_or(Problem::TooDear)?;
    Ok(())
}

/// Bounds on evaluating an expression.
#[derive(Debug, Clone, Copy)]
struct Bound {
    cost: u64,
    /// Of the value: bytes of texts, plus one for every value and every place in a list or map.
    size: u64,
    /// How many elements the value has, if it has any.
    len: u64,
    /// Whether the size is that of a loop's variable, whose sizes add up to that of the list.
    varies: bool,
}

impl Bound {
    fn of_size(cost: u64, size: u64) -> Self {
        Self {
            cost,
            size,
            len: size / 2 + 1,
            varies: false,
        }
    }

    fn scalar(cost: u64) -> Self {
        Self::of_size(cost, 1)
    }

    fn plus(self, more: u64) -> Self {
        Self {
            cost: self.cost.saturating_add(more),
            ..self
        }
    }
}

struct Walk<'a> {
    patterns: &'a mut Patterns,
    /// The variables of loops, innermost last.
    scopes: Vec<(String, Bound)>,
    loops: usize,
    depth: u32,
}

impl Walk<'_> {
    fn expression(&mut self, expression: &IdedExpr) -> Result<Bound, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        let bound = match &expression.expr {
            Expr::Literal(LiteralValue::String(text)) => {
                Bound::of_size(STEP, text.inner().len() as u64 + 1)
            }
            Expr::Literal(LiteralValue::Bytes(bytes)) => {
                Bound::of_size(STEP, bytes.inner().len() as u64 + 1)
            }
            Expr::Literal(_) => Bound::scalar(STEP),
            Expr::Ident(name) => self.name(name)?,
            Expr::Select(select) => self.select(select)?,
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) if list.optional_indices.is_empty() => self.literal(&list.elements)?,
            Expr::Map(map) => {
                let mut parts = Vec::with_capacity(map.entries.len() * 2);
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) if !entry.optional => {
                            parts.extend([entry.key.clone(), entry.value.clone()]);
                        }
                        EntryExpr::MapEntry(_) | EntryExpr::StructField(_) => {
                            return Err(Problem::Unsupported);
                        }
                    }
                }
                self.literal(&parts)?
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
            Expr::List(_) | Expr::Struct(_) | Expr::Unspecified => {
                return Err(Problem::Unsupported);
            }
        };
        self.depth -= 1;
        // No value may be built that costs more than the budget to build; this bounds memory too.
        if bound.cost > BUDGET {
            Err(Problem::TooDear)
        } else {
            Ok(bound)
        }
    }

    fn local(&self, name: &str) -> Option<Bound> {
        self.scopes
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, bound)| *bound)
    }

    fn name(&self, name: &str) -> Result<Bound, Problem> {
        if let Some(bound) = self.local(name) {
            return Ok(bound);
        }
        match name {
            "user" => Ok(Bound::of_size(STEP, ATTRIBUTES + ID + 4)),
            "spike" => Ok(Bound::of_size(STEP, SPIKE)),
            "now" => Ok(Bound::scalar(STEP)),
            _ if TYPES.contains(&name) => Ok(Bound::scalar(STEP)),
            _ => Err(Problem::UnknownName),
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Bound, Problem> {
        if let Expr::Ident(name) = &select.operand.expr
            && self.local(name).is_none()
        {
            let size = match (name.as_str(), select.field.as_str()) {
                ("user", "id") => ID,
                ("user", "attributes") => ATTRIBUTES,
                ("spike", field) if SPIKE_FIELDS.contains(&field) => SPIKE,
                _ => return Err(Problem::UnknownName),
            };
            return Ok(Bound::of_size(2 * STEP, size));
        }
        let operand = self.expression(&select.operand)?.plus(STEP);
        if select.test {
            return Ok(Bound::scalar(operand.cost));
        }
        Ok(Bound {
            len: operand.size / 2 + 1,
            ..operand
        })
    }

    fn literal(&mut self, parts: &[IdedExpr]) -> Result<Bound, Problem> {
        let mut whole = Bound {
            cost: STEP,
            size: 1,
            len: parts.len() as u64,
            varies: false,
        };
        for part in parts {
            let part = self.expression(part)?;
            whole.size = whole.size.saturating_add(part.size).saturating_add(1);
            // Each part is copied into the list.
            whole = whole.plus(part.cost).plus(part.size);
            whole.varies |= part.varies;
        }
        Ok(whole)
    }

    fn call(&mut self, call: &CallExpr) -> Result<Bound, Problem> {
        let mut operands = Vec::with_capacity(call.args.len() + 1);
        for operand in call.target.as_deref().into_iter().chain(&call.args) {
            operands.push(self.expression(operand)?);
        }
        let spent = operands
            .iter()
            .fold(STEP, |sum, operand| sum.saturating_add(operand.cost));
        if call.func_name == "matches" {
            let steps = self.pattern(call.args.last())?;
            let text = operands.first().map_or(0, |text| text.size);
            return Ok(Bound::scalar(
                spent.saturating_add(text.saturating_mul(steps)),
            ));
        }
        function(&call.func_name, &operands, spent).ok_or(Problem::UnknownFunction)
    }

    /// Compiles the pattern and says what it costs for each byte of the text: the engine may follow all its states.
    fn pattern(&mut self, argument: Option<&IdedExpr>) -> Result<u64, Problem> {
        let Some(IdedExpr {
            expr: Expr::Literal(LiteralValue::String(pattern)),
            ..
        }) = argument
        else {
            return Err(Problem::Pattern);
        };
        self.patterns.add(pattern.inner())?;
        let counted = pattern.inner().contains('{');
        Ok(if counted {
            256
        } else {
            pattern.inner().len() as u64 * 2 + 1
        })
    }

    fn comprehension(&mut self, loop_: &ComprehensionExpr) -> Result<Bound, Problem> {
        if loop_.iter_var2.is_some() {
            return Err(Problem::Unsupported);
        }
        let range = self.expression(&loop_.iter_range)?;
        let start = self.expression(&loop_.accu_init)?;
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return Err(Problem::TooDear);
        }
        let small = self.round(loop_, 0)?;
        let large = self.round(loop_, range.size)?;
        self.loops -= 1;
        let rounds = |small: u64, large: u64| range.len.saturating_mul(small).saturating_add(large);
        // `map` and `filter` collect a list; the others carry a bool or a number.
        let collected = match &loop_.accu_init.expr {
            Expr::List(_) => Bound {
                cost: STEP,
                size: rounds(small.size, large.size),
                len: range.len,
                varies: self.loops > 0,
            },
            _ => Bound::scalar(STEP),
        };
        self.scopes.push((loop_.accu_var.clone(), collected));
        let result = self.expression(&loop_.result)?;
        self.scopes.pop();
        let spent = range
            .cost
            .saturating_add(start.cost)
            .saturating_add(rounds(small.cost, large.cost));
        Ok(result.plus(spent))
    }

    /// One round with an element of this size: what it costs and what it adds to a collected list.
    fn round(&mut self, loop_: &ComprehensionExpr, size: u64) -> Result<Bound, Problem> {
        let element = Bound {
            varies: true,
            ..Bound::of_size(STEP, size)
        };
        let collected = Bound {
            cost: STEP,
            size: 0,
            len: 0,
            varies: false,
        };
        self.scopes.push((loop_.accu_var.clone(), collected));
        self.scopes.push((loop_.iter_var.clone(), element));
        let condition = self.expression(&loop_.loop_cond)?;
        let step = self.expression(&loop_.loop_step)?;
        self.scopes.truncate(self.scopes.len() - 2);
        // Binding the variable copies the element.
        Ok(step.plus(condition.cost).plus(2 * STEP).plus(size))
    }
}

/// The bound of a call whose operands together cost `spent`; none for a function that rules may not call.
fn function(name: &str, operands: &[Bound], spent: u64) -> Option<Bound> {
    let first = operands.first().copied().unwrap_or(Bound::scalar(0));
    let last = operands.last().copied().unwrap_or(Bound::scalar(0));
    let size = operands
        .iter()
        .fold(0_u64, |sum, operand| sum.saturating_add(operand.size));
    let scalar = |walked: u64| Bound::scalar(spent.saturating_add(walked));
    Some(match name {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE
        | operators::NEGATE
        | operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO => scalar(0),
        operators::EQUALS
        | operators::NOT_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS => scalar(match (first.varies, last.varies) {
            (true, _) => first.size,
            (false, true) => last.size,
            (false, false) => first.size.min(last.size),
        }),
        operators::IN => scalar(last.size.saturating_add(first.size / 8)),
        operators::CONDITIONAL => {
            let branches = operands.get(1..).unwrap_or_default();
            let size = branches.iter().map(|branch| branch.size).max().unwrap_or(1);
            let len = branches.iter().map(|branch| branch.len).max().unwrap_or(1);
            Bound {
                cost: spent,
                size,
                len,
                varies: branches.iter().any(|branch| branch.varies),
            }
        }
        operators::INDEX => Bound {
            cost: spent,
            len: first.size / 2 + 1,
            ..first
        },
        operators::ADD => {
            let len = first.len.saturating_add(last.len);
            Bound {
                cost: spent.saturating_add(size),
                size,
                len,
                varies: first.varies || last.varies,
            }
        }
        "string" | "bytes" => Bound {
            varies: first.varies,
            ..Bound::of_size(spent.saturating_add(size), size.saturating_add(64))
        },
        "dyn" => Bound {
            cost: spent.saturating_add(size),
            ..first
        },
        "size" | "contains" | "startsWith" | "endsWith" => scalar(size / 8),
        "int" | "uint" | "double" | "bool" | "timestamp" | "duration" | "type" => {
            scalar(size / 8 + STEP)
        }
        "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek"
        | "getDayOfYear" | "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds" => {
            scalar(size / 8 + 8 * STEP)
        }
        _ => return None,
    })
}
