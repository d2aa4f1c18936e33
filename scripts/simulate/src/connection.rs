//! The simulated Redis server, and processes' connections to it.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::rngs::StdRng;
use redis::{
    Arg, Cmd, Pipeline, RedisError, RedisFuture, ServerErrorKind, Value, aio::ConnectionLike,
};

use crate::{
    lua,
    mutation::Mutation,
    redis::{Context, Keyspace, Reply},
    steps::{At, Choice, Port, Steps},
};

/// How many older states can come back.
const HISTORY: usize = 24;

struct Inner {
    /// The primary's state; older primaries that somebody still writes to come before it.
    servers: Vec<Keyspace>,
    /// Which server a process talks to, if it is not the primary.
    strays: HashMap<usize, usize>,
    /// Scripts by their hash.
    scripts: HashMap<String, String>,
    history: VecDeque<Keyspace>,
    random: StdRng,
    mutation: Option<Mutation>,
}

/// A Redis with its past.
#[derive(Clone)]
pub struct Server(Arc<Mutex<Inner>>);

impl Server {
    /// An empty one.
    #[must_use]
    pub fn new(random: StdRng, mutation: Option<Mutation>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            servers: vec![Keyspace::default()],
            strays: HashMap::new(),
            scripts: HashMap::new(),
            history: VecDeque::new(),
            random,
            mutation,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the primary holds.
    #[must_use]
    pub fn state(&self) -> Keyspace {
        self.lock().primary().clone()
    }

    /// How many older states there are.
    #[must_use]
    pub fn past(&self) -> usize {
        self.lock().history.len()
    }

    /// Brings an older state back; 0 is the oldest that is known. Scripts are forgotten, as at every restart.
    pub fn restart(&self, past: usize) {
        let mut inner = self.lock();
        if let Some(state) = inner.history.get(past).cloned() {
            *inner.primary() = state;
            inner.history.truncate(past);
            inner.scripts.clear();
        }
    }

    /// Loses everything.
    pub fn wipe(&self) {
        let mut inner = self.lock();
        *inner.primary() = Keyspace::default();
        inner.history.clear();
        inner.scripts.clear();
    }

    /// A replica that lags becomes the primary; `strays` go on with the old one.
    pub fn fail_over(&self, past: usize, strays: &[usize]) {
        let mut inner = self.lock();
        let Some(state) = inner.history.get(past).cloned() else {
            return;
        };
        let old = inner.servers.len() - 1;
        inner
            .strays
            .extend(strays.iter().map(|stray| (*stray, old)));
        inner.servers.push(state);
        inner.history.truncate(past);
    }

    /// Everybody finds the new primary.
    pub fn heal(&self) {
        self.lock().strays.clear();
    }

    /// Runs one command past every process, for defects that are made at a seam.
    pub fn intrude(&self, words: &[String], steps: &Steps) {
        if let Err(Failure::Hole(hole)) = self.lock().run(words, usize::MAX, steps) {
            steps.violate(format!("a hole in the simulation: {hole}"));
        }
    }

    /// Forgets all scripts.
    pub fn flush_scripts(&self) {
        self.lock().scripts.clear();
    }
}

impl Inner {
    fn primary(&mut self) -> &mut Keyspace {
        let last = self.servers.len() - 1;
        &mut self.servers[last]
    }

    fn run(&mut self, words: &[String], instance: usize, steps: &Steps) -> Result<Reply, Failure> {
        if let [eval, code, rest @ ..] = words
            && eval == "EVAL"
        {
            let sha = redis::Script::new(code).get_hash().to_owned();
            let code = self
                .mutation
                .and_then(|mutation| mutation.script(code))
                .unwrap_or_else(|| code.clone());
            self.scripts.insert(sha.clone(), code);
            let by_sha = ["EVALSHA".to_owned(), sha].into_iter();
            let words: Vec<String> = by_sha.chain(rest.iter().cloned()).collect();
            return self.run(&words, instance, steps);
        }
        let last = self.servers.len() - 1;
        let server = self.strays.get(&instance).copied().unwrap_or(last);
        let before = self.servers[server].clone();
        let mut context = Context {
            now_ms: steps.now_ms(),
            random: &mut self.random,
        };
        let keyspace = &mut self.servers[server];
        let mut name = "";
        let reply = match words {
            [eval, sha, count, rest @ ..] if eval == "EVALSHA" => {
                let code = self.scripts.get(sha).ok_or(Failure::NoScript)?;
                name = script_name(code);
                let count: usize = count.parse().map_err(|_| Failure::hole(words))?;
                let (keys, values) = rest.split_at_checked(count).ok_or(Failure::hole(words))?;
                lua::run(code, keys, values, keyspace, &mut context).map_err(Failure::Hole)?
            }
            words => keyspace.run(words, &mut context).map_err(Failure::Hole)?,
        };
        watch(steps, &before, name, words, &reply);
        if server == last && self.servers[last] != before {
            self.history.push_back(before);
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
        Ok(reply)
    }
}

enum Failure {
    NoScript,
    /// The simulation lacks something.
    Hole(String),
}

impl Failure {
    fn hole(words: &[String]) -> Self {
        Self::Hole(format!("{words:?}"))
    }
}

/// One process' connection.
#[derive(Clone)]
pub struct Connection {
    /// The server.
    pub server: Server,
    /// Whose connection it is.
    pub port: Port,
}

impl Connection {
    async fn send(&self, words: Vec<String>) -> Result<Value, RedisError> {
        // Measuring the clock changes nothing.
        let choice = if words[0] == "TIME" {
            Choice::Proceed
        } else {
            self.port
                .enter(At::Redis, || describe(&self.server, &words))
                .await
        };
        if choice == Choice::FailBefore {
            return Err(silence());
        }
        let steps = &self.port.steps;
        let reply = self.server.lock().run(&words, self.port.instance, steps);
        match reply {
            Ok(reply) => {
                if choice == Choice::FailAfter {
                    return Err(silence());
                }
                if words[0] != "TIME" {
                    steps.note(|| format!("       -> {reply:?}"));
                }
                Ok(redis_value(reply))
            }
            Err(Failure::NoScript) => Err(RedisError::from((
                ServerErrorKind::NoScript.into(),
                "no such script",
            ))),
            Err(Failure::Hole(hole)) => {
                steps.violate(format!("a hole in the simulation: {hole}"));
                Err(silence())
            }
        }
    }
}

/// What single scripts promise, whatever else is wrong.
fn watch(steps: &Steps, before: &Keyspace, name: &str, words: &[String], reply: &Reply) {
    let (Some(keys), Some(values)) = (words.get(3..), values_of(words)) else {
        return;
    };
    if name == "reserve"
        && let Reply::Text(text) = reply
    {
        if text.starts_with("early|") {
            steps.saw("refused as too early");
        } else if text.starts_with("replay|") && text.ends_with("|0") {
            steps.saw("replay of what is published");
        }
    }
    let broken = match name {
        "reserve" => oversteps(before, steps.now_ms(), keys, values, reply)
            .or_else(|| turns_away(before, keys, values, reply)),
        "learn" => displaces(before, keys, values, reply),
        "reassign" => {
            if is_sold_out(reply)
                && let Some(reservation) = values.first()
            {
                steps.turn_away(reservation);
            }
            hands_out_again(before, keys, values, reply)
                .or_else(|| withholds(before, keys, values, reply))
        }
        "load" => {
            match reply {
                Reply::Text(answer) if answer == "present" => steps.saw("second load"),
                Reply::Text(answer) if answer == "late" => steps.saw("late load"),
                _ => {}
            }
            None
        }
        _ => None,
    };
    if let Some(broken) = broken {
        steps.violate(broken);
    }
}

fn values_of(words: &[String]) -> Option<&[String]> {
    let count: usize = words.get(2)?.parse().ok()?;
    words.get(3 + count..)
}

/// `reserve` never sells outside of the window, more than the limit, or against a verdict.
fn oversteps(
    before: &Keyspace,
    now: i64,
    keys: &[String],
    values: &[String],
    reply: &Reply,
) -> Option<String> {
    let Reply::Text(text) = reply else {
        return None;
    };
    let units = text.strip_prefix("won|")?;
    let sale = before.hash(keys.first()?);
    let number = |field: &str| sale.get(field).and_then(|it| it.parse::<i64>().ok());
    let open = sale.get("state").is_some_and(|state| state == "open")
        && number("starts").is_some_and(|starts| starts <= now)
        && number("ends").is_some_and(|ends| now < ends)
        && number("healing_until").is_none_or(|until| until <= now);
    if !open {
        return Some(format!(
            "units {units} were sold while the sale is not open: {sale:?}"
        ));
    }
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
    if limit.is_none_or(|limit| units.split(',').count() > limit) {
        return Some(format!("units {units} are more than the limit: {sale:?}"));
    }
    let denied = values
        .get(3)
        .is_some_and(|verdict| verdict.starts_with('-'));
    denied.then(|| format!("I9: units {units} were sold to somebody who is denied"))
}

/// How many units are on offer, those of `except` apart.
fn on_offer(before: &Keyspace, sale: &str, free: &str, except: &[String]) -> Option<usize> {
    let sale = before.hash(sale);
    let number = |field: &str| sale.get(field)?.parse::<u32>().ok();
    let (next, top) = (number("next")?, number("top")?);
    let free = before.set(free);
    let units = (1..=top).filter(|unit| *unit > next || free.contains(&unit.to_string()));
    Some(
        units
            .filter(|unit| !except.contains(&unit.to_string()))
            .count(),
    )
}

/// `reserve` says `sold-out` only where too few units are on offer, and how many are.
fn turns_away(
    before: &Keyspace,
    keys: &[String],
    values: &[String],
    reply: &Reply,
) -> Option<String> {
    let Reply::Text(text) = reply else {
        return None;
    };
    let left: usize = text.strip_prefix("sold-out|")?.parse().ok()?;
    let wanted: usize = values.get(2)?.parse().ok()?;
    let offered = on_offer(before, keys.first()?, keys.get(4)?, &[])?;
    (left != offered || offered >= wanted)
        .then(|| format!("{wanted} units were refused as {text}, {offered} are on offer"))
}

/// `reassign` says `sold-out`, after which an order is rejected, only where too few units are on offer.
fn withholds(
    before: &Keyspace,
    keys: &[String],
    values: &[String],
    reply: &Reply,
) -> Option<String> {
    if !is_sold_out(reply) {
        return None;
    }
    let kept: usize = values.get(3)?.parse().ok()?;
    let (kept, taken) = values.get(4..)?.split_at_checked(kept)?;
    let offered = on_offer(before, keys.first()?, keys.get(4)?, kept)?;
    (offered >= taken.len()).then(|| {
        format!(
            "an order is rejected for want of {} units while {offered} are on offer",
            taken.len()
        )
    })
}

/// Whether this is how `reassign` says that there are no units.
fn is_sold_out(reply: &Reply) -> bool {
    *reply == Reply::List(vec![Reply::Text("sold-out".to_owned())])
}

/// `learn` changes nothing where Redis shows another holder than its caller saw (rule 8).
fn displaces(
    before: &Keyspace,
    keys: &[String],
    values: &[String],
    reply: &Reply,
) -> Option<String> {
    let [unit, truth, _, _, seen, ..] = values else {
        return None;
    };
    let held = before.hash(keys.get(2)?);
    let holder = held.get(unit)?.split('|').next()?;
    let known = [truth.as_str(), seen.as_str()].contains(&holder);
    (*reply == Reply::Int(1) && !known)
        .then(|| format!("rule 8: unit {unit} was taken from {holder}, seen was {seen:?}"))
}

/// `reassign` hands out units once: where Redis shows others than the event's, those are the answer (rule 8).
fn hands_out_again(
    before: &Keyspace,
    keys: &[String],
    values: &[String],
    reply: &Reply,
) -> Option<String> {
    let [reservation, user, units, ..] = values else {
        return None;
    };
    let buyers = before.hash(keys.get(1)?);
    let (standing, assigned) = buyers.get(user)?.split_once('|')?;
    let answer = Reply::List(vec![
        Reply::Text("units".to_owned()),
        Reply::Text(assigned.to_owned()),
    ]);
    let again = standing == reservation && assigned != units && *reply != answer;
    again.then(|| format!("rule 8: {reservation} had {assigned} and was handed out {reply:?}"))
}

/// What a script calls itself in its first line, after what it shares with others.
fn script_name(code: &str) -> &str {
    code.lines()
        .filter_map(|line| line.strip_prefix("-- ")?.split_once(": "))
        .map(|(name, _)| name)
        .find(|name| name.chars().all(|it| it.is_ascii_lowercase() || it == '_'))
        .unwrap_or("script")
}

/// A step in words: the script's name and its values.
fn describe(server: &Server, words: &[String]) -> String {
    match words {
        [eval, sha, count, rest @ ..] if eval == "EVALSHA" => {
            let inner = server.lock();
            let name = inner
                .scripts
                .get(sha)
                .map_or("unknown script", |code| script_name(code));
            let keys = count.parse().unwrap_or(0);
            let values = rest.get(keys..).unwrap_or_default();
            format!("{name}({})", values.join(" "))
        }
        [eval, code, count, rest @ ..] if eval == "EVAL" => {
            let keys = count.parse().unwrap_or(0);
            let values = rest.get(keys..).unwrap_or_default();
            format!("{}({}), sent along", script_name(code), values.join(" "))
        }
        words => words.join(" "),
    }
}

fn silence() -> RedisError {
    RedisError::from(io::Error::from(io::ErrorKind::TimedOut))
}

fn redis_value(reply: Reply) -> Value {
    match reply {
        Reply::Nil => Value::Nil,
        Reply::Ok => Value::Okay,
        Reply::Int(number) => Value::Int(number),
        Reply::Text(text) => Value::BulkString(text.into_bytes()),
        Reply::List(replies) => Value::Array(replies.into_iter().map(redis_value).collect()),
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let words = cmd.args_iter().map(|arg| match arg {
            Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "0".to_owned(),
        });
        let words = words.collect();
        Box::pin(self.send(words))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.port
            .steps
            .violate("a hole in the simulation: a pipeline".to_owned());
        Box::pin(async { Err(silence()) })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
