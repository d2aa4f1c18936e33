//! A small Redis in memory: the commands that Spike's scripts and functions use, with Redis' answers.
//!
//! A state can be cloned, so that a fault can bring an older one back. Times are milliseconds of the simulated clock.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, rngs::StdRng};

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// `OK`.
    Ok,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Reply>),
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Text(String),
    Hash(BTreeMap<String, String>),
    Set(BTreeSet<String>),
    Sorted(BTreeMap<String, i64>),
}

/// Everything in one Redis at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keyspace {
    entries: BTreeMap<String, Entry>,
    /// When keys lapse.
    lapses: BTreeMap<String, i64>,
}

/// A command that this Redis does not have, or that is used as it is not meant to be: a hole in the simulation.
pub type Refusal = String;

/// Number and randomness that commands need.
pub struct Context<'a> {
    /// Redis' clock, in ms.
    pub now_ms: i64,
    /// For `SPOP` and `SRANDMEMBER`.
    pub random: &'a mut StdRng,
}

impl Keyspace {
    /// Runs one command; its first word is its name.
    pub fn run(&mut self, words: &[String], context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (name, args) = words.split_first().ok_or("no command")?;
        self.lapse(context.now_ms);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.keys(name, &args, context)
            .or_else(|| self.hashes(name, &args))
            .or_else(|| self.sets(name, &args, context.random))
            .or_else(|| self.sorted(name, &args))
            .unwrap_or_else(|| Err(format!("no such command here: {words:?}")))
    }

    /// The hash at `key`; empty if there is none.
    #[must_use]
    pub fn hash(&self, key: &str) -> BTreeMap<String, String> {
        match self.entries.get(key) {
            Some(Entry::Hash(hash)) => hash.clone(),
            _ => BTreeMap::new(),
        }
    }

    /// The set at `key`; empty if there is none.
    #[must_use]
    pub fn set(&self, key: &str) -> BTreeSet<String> {
        match self.entries.get(key) {
            Some(Entry::Set(set)) => set.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// The members of the sorted set at `key`; empty if there is none.
    #[must_use]
    pub fn members(&self, key: &str) -> Vec<String> {
        match self.entries.get(key) {
            Some(Entry::Sorted(sorted)) => sorted.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn lapse(&mut self, now_ms: i64) {
        let over: Vec<String> = self
            .lapses
            .iter()
            .filter(|(_, at)| **at <= now_ms)
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &str) -> bool {
        self.lapses.remove(key);
        self.entries.remove(key).is_some()
    }

    /// Redis keeps no empty collections.
    fn tidy(&mut self, key: &str) {
        let empty = match self.entries.get(key) {
            Some(Entry::Hash(hash)) => hash.is_empty(),
            Some(Entry::Set(set)) => set.is_empty(),
            Some(Entry::Sorted(sorted)) => sorted.is_empty(),
            _ => false,
        };
        if empty {
            self.remove(key);
        }
    }

    fn keys(
        &mut self,
        name: &str,
        args: &[&str],
        context: &mut Context<'_>,
    ) -> Option<Result<Reply, Refusal>> {
        let reply = match (name, args) {
            ("TIME", []) => Reply::List(vec![
                Reply::Text((context.now_ms / 1000).to_string()),
                Reply::Text((context.now_ms % 1000 * 1000).to_string()),
            ]),
            ("GET", [key]) => match self.entries.get(*key) {
                Some(Entry::Text(text)) => Reply::Text(text.clone()),
                None => Reply::Nil,
                Some(_) => return Some(Err(format!("{key} is no text"))),
            },
            ("SET", [key, value, options @ ..]) => {
                if options.contains(&"NX") && self.entries.contains_key(*key) {
                    return Some(Ok(Reply::Nil));
                }
                let lifetime = options.iter().position(|option| *option == "PX");
                let lifetime = lifetime.and_then(|at| options.get(at + 1)?.parse::<i64>().ok());
                self.remove(key);
                self.entries
                    .insert((*key).to_owned(), Entry::Text((*value).to_owned()));
                if let Some(ms) = lifetime {
                    self.lapses.insert((*key).to_owned(), context.now_ms + ms);
                }
                Reply::Ok
            }
            ("DEL" | "UNLINK", keys) => {
                Reply::Int(count(keys.iter().filter(|key| self.remove(key))))
            }
            ("EXISTS", [key]) => Reply::Int(i64::from(self.entries.contains_key(*key))),
            _ => return None,
        };
        Some(Ok(reply))
    }

    fn hashes(&mut self, name: &str, args: &[&str]) -> Option<Result<Reply, Refusal>> {
        let (key, args) = args.split_first()?;
        if !name.starts_with('H') {
            return None;
        }
        let entry = self.entries.entry((*key).to_owned());
        let Entry::Hash(hash) = entry.or_insert_with(|| Entry::Hash(BTreeMap::new())) else {
            return Some(Err(format!("{key} is no hash")));
        };
        let value = |field: &&str| {
            hash.get(*field)
                .map_or(Reply::Nil, |it| Reply::Text(it.clone()))
        };
        let reply = match (name, args) {
            ("HGET", [field]) => value(field),
            ("HMGET", fields) => Reply::List(fields.iter().map(value).collect()),
            ("HEXISTS", [field]) => Reply::Int(i64::from(hash.contains_key(*field))),
            ("HLEN", []) => Reply::Int(count(hash.keys())),
            ("HKEYS", []) => Reply::List(hash.keys().cloned().map(Reply::Text).collect()),
            ("HSET", pairs) if pairs.len() % 2 == 0 && !pairs.is_empty() => {
                let new = pairs.chunks(2).filter(|pair| {
                    hash.insert(pair[0].to_owned(), pair[1].to_owned())
                        .is_none()
                });
                Reply::Int(count(new))
            }
            ("HSETNX", [field, value]) => {
                let new = !hash.contains_key(*field);
                if new {
                    hash.insert((*field).to_owned(), (*value).to_owned());
                }
                Reply::Int(i64::from(new))
            }
            ("HDEL", fields) => Reply::Int(count(
                fields.iter().filter(|field| hash.remove(**field).is_some()),
            )),
            ("HSCAN", [_, ..]) => {
                let pairs = hash.iter().flat_map(|(field, value)| [field, value]);
                let pairs = pairs.cloned().map(Reply::Text).collect();
                Reply::List(vec![Reply::Text("0".to_owned()), Reply::List(pairs)])
            }
            _ => return Some(Err(format!("{name} {key} {args:?}"))),
        };
        self.tidy(key);
        Some(Ok(reply))
    }

    fn sets(
        &mut self,
        name: &str,
        args: &[&str],
        random: &mut StdRng,
    ) -> Option<Result<Reply, Refusal>> {
        let (key, args) = args.split_first()?;
        if !["SADD", "SREM", "SCARD", "SISMEMBER", "SPOP", "SRANDMEMBER"].contains(&name) {
            return None;
        }
        let entry = self.entries.entry((*key).to_owned());
        let Entry::Set(set) = entry.or_insert_with(|| Entry::Set(BTreeSet::new())) else {
            return Some(Err(format!("{key} is no set")));
        };
        let reply = match (name, args) {
            ("SADD", members) if !members.is_empty() => Reply::Int(count(
                members
                    .iter()
                    .filter(|member| set.insert((**member).to_owned())),
            )),
            ("SREM", members) if !members.is_empty() => {
                Reply::Int(count(members.iter().filter(|member| set.remove(**member))))
            }
            ("SCARD", []) => Reply::Int(count(set.iter())),
            ("SISMEMBER", [member]) => Reply::Int(i64::from(set.contains(*member))),
            ("SPOP" | "SRANDMEMBER", [most]) => {
                let Ok(most) = most.parse::<usize>() else {
                    return Some(Err(format!("{name} of {most}")));
                };
                let mut members: Vec<String> = set.iter().cloned().collect();
                let mut taken = Vec::new();
                while taken.len() < most && !members.is_empty() {
                    taken.push(members.swap_remove(random.random_range(0..members.len())));
                }
                if name == "SPOP" {
                    set.retain(|member| !taken.contains(member));
                }
                Reply::List(taken.into_iter().map(Reply::Text).collect())
            }
            _ => return Some(Err(format!("{name} {key} {args:?}"))),
        };
        self.tidy(key);
        Some(Ok(reply))
    }

    fn sorted(&mut self, name: &str, args: &[&str]) -> Option<Result<Reply, Refusal>> {
        let (key, args) = args.split_first()?;
        if !name.starts_with('Z') {
            return None;
        }
        let entry = self.entries.entry((*key).to_owned());
        let Entry::Sorted(sorted) = entry.or_insert_with(|| Entry::Sorted(BTreeMap::new())) else {
            return Some(Err(format!("{key} is no sorted set")));
        };
        let reply = match (name, args) {
            ("ZADD", ["NX", score, member]) => {
                let new = !sorted.contains_key(*member);
                if new {
                    sorted.insert((*member).to_owned(), score_of(score));
                }
                Reply::Int(i64::from(new))
            }
            ("ZADD", ["XX", pairs @ ..]) => {
                for pair in pairs.chunks(2) {
                    if let Some(score) = sorted.get_mut(pair[1]) {
                        *score = score_of(pair[0]);
                    }
                }
                Reply::Int(0)
            }
            ("ZADD", [score, member]) => Reply::Int(i64::from(
                sorted
                    .insert((*member).to_owned(), score_of(score))
                    .is_none(),
            )),
            ("ZREM", members) => Reply::Int(count(
                members
                    .iter()
                    .filter(|member| sorted.remove(**member).is_some()),
            )),
            ("ZCARD", []) => Reply::Int(count(sorted.keys())),
            ("ZSCORE", [member]) => sorted
                .get(*member)
                .map_or(Reply::Nil, |score| Reply::Text(score.to_string())),
            ("ZRANGEBYSCORE", ["-inf", highest, "LIMIT", "0", most]) => {
                let highest = score_of(highest);
                let mut due: Vec<_> = sorted
                    .iter()
                    .filter(|(_, score)| **score <= highest)
                    .collect();
                due.sort_by_key(|(member, score)| (**score, (*member).clone()));
                let most = most.parse().unwrap_or(0);
                let due = due.into_iter().take(most);
                Reply::List(due.map(|(member, _)| Reply::Text(member.clone())).collect())
            }
            ("ZSCAN", [_, ..]) => {
                let pairs = sorted
                    .iter()
                    .flat_map(|(member, score)| [member.clone(), score.to_string()]);
                let pairs = pairs.map(Reply::Text).collect();
                Reply::List(vec![Reply::Text("0".to_owned()), Reply::List(pairs)])
            }
            _ => return Some(Err(format!("{name} {key} {args:?}"))),
        };
        self.tidy(key);
        Some(Ok(reply))
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "scores are milliseconds")]
fn score_of(text: &str) -> i64 {
    text.parse::<f64>().map_or(0, |score| score as i64)
}
