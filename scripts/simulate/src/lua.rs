//! Runs the shipped Lua files: a plain Lua 5.1 with `redis.call` over a [`Keyspace`].

use std::{cell::RefCell, collections::HashMap};

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Value, Variadic};
use rand::{SeedableRng, rngs::StdRng};

use crate::redis::{Context, Keyspace, Reply};

/// What a script works on while it runs; it is put into the interpreter and taken out again.
struct Running {
    keyspace: Keyspace,
    now_ms: i64,
    random: StdRng,
}

struct Interpreter {
    lua: Lua,
    /// Scripts by their text: mutations give two texts to one name.
    functions: HashMap<String, Function>,
}

thread_local! {
    static INTERPRETER: RefCell<Option<Interpreter>> = const { RefCell::new(None) };
}

/// Runs a script. What it wrote before an error stays written, as in Redis.
pub fn run(
    code: &str,
    keys: &[String],
    values: &[String],
    keyspace: &mut Keyspace,
    context: &mut Context<'_>,
) -> Result<Reply, String> {
    INTERPRETER.with_borrow_mut(|interpreter| {
        if interpreter.is_none() {
            *interpreter = Some(Interpreter::new().map_err(|error| error.to_string())?);
        }
        let Some(interpreter) = interpreter else {
            return Err("no interpreter".to_owned());
        };
        interpreter
            .run(code, keys, values, keyspace, context)
            .map_err(|error| error.to_string())
    })
}

impl Interpreter {
    fn new() -> mlua::Result<Self> {
        let lua = Lua::new();
        let redis = lua.create_table()?;
        redis.set("call", lua.create_function(call)?)?;
        lua.globals().set("redis", redis)?;
        Ok(Self {
            lua,
            functions: HashMap::new(),
        })
    }

    fn run(
        &mut self,
        code: &str,
        keys: &[String],
        values: &[String],
        keyspace: &mut Keyspace,
        context: &mut Context<'_>,
    ) -> mlua::Result<Reply> {
        let function = if let Some(function) = self.functions.get(code) {
            function.clone()
        } else {
            let function = self.lua.load(code).into_function()?;
            self.functions.insert(code.to_owned(), function.clone());
            function
        };
        let globals = self.lua.globals();
        globals.set("KEYS", keys.to_vec())?;
        globals.set("ARGV", values.to_vec())?;
        self.lua.set_app_data(Running {
            keyspace: std::mem::take(keyspace),
            now_ms: context.now_ms,
            random: StdRng::from_rng(context.random),
        });
        let answer = function.call::<Value>(());
        if let Some(running) = self.lua.remove_app_data::<Running>() {
            *keyspace = running.keyspace;
        }
        reply(&answer?)
    }
}

/// `redis.call`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the interpreter hands its arguments over"
)]
fn call(lua: &Lua, words: Variadic<Value>) -> mlua::Result<MultiValue> {
    let words = words.iter().map(word).collect::<mlua::Result<Vec<_>>>()?;
    let mut running = lua
        .app_data_mut::<Running>()
        .ok_or_else(|| mlua::Error::runtime("no script is running"))?;
    let Running {
        keyspace,
        now_ms,
        random,
    } = &mut *running;
    let mut context = Context {
        now_ms: *now_ms,
        random,
    };
    let reply = keyspace
        .run(&words, &mut context)
        .map_err(mlua::Error::runtime)?;
    drop(running);
    value(lua, reply)?.into_lua_multi(lua)
}

/// Numbers become the text that Redis makes of them.
fn word(value: &Value) -> mlua::Result<String> {
    match value {
        Value::String(text) => Ok(text.to_str()?.to_owned()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Number(number) if number.fract() == 0.0 => Ok(format!("{number:.0}")),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(mlua::Error::runtime(format!(
            "arguments are strings or numbers, not {}",
            other.type_name()
        ))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds")]
fn value(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        Reply::Int(number) => Value::Number(number as f64),
        Reply::Text(text) => Value::String(lua.create_string(text)?),
        Reply::Ok => {
            let status = lua.create_table()?;
            status.set("ok", "OK")?;
            Value::Table(status)
        }
        Reply::List(replies) => {
            let list = lua.create_table_with_capacity(replies.len(), 0)?;
            for (index, reply) in replies.into_iter().enumerate() {
                list.raw_set(index + 1, value(lua, reply)?)?;
            }
            Value::Table(list)
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Redis cuts fractions off, too"
)]
fn reply(value: &Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::Nil | Value::Boolean(false) => Reply::Nil,
        Value::Boolean(true) => Reply::Int(1),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(*number as i64),
        Value::String(text) => Reply::Text(text.to_str()?.to_owned()),
        Value::Table(table) => {
            let mut list = Vec::with_capacity(table.raw_len());
            for index in 1..=table.raw_len() {
                list.push(reply(&table.raw_get(index)?)?);
            }
            Reply::List(list)
        }
        other => {
            return Err(mlua::Error::runtime(format!(
                "a script answers {}",
                other.type_name()
            )));
        }
    })
}
