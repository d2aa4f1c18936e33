//! The scripts, and how they are called: by SHA, and whole once where Redis does not know them.

use std::sync::LazyLock;

use domain::SpikeId;
use redis::{Arg, Cmd, RedisResult, ServerErrorKind, ToRedisArgs, Value};

use crate::{connection::Connection, keys::Key};

/// One Lua script.
pub(crate) struct Script {
    /// For measurements: the file's name.
    name: &'static str,
    code: &'static str,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $called:literal: $($file:literal)+;)+) => {$(
        pub(crate) static $name: Script = {
            const CODE: &str = concat!($(include_str!($file)),+);
            Script { name: $called, code: CODE, sha: LazyLock::new(|| redis::Script::new(CODE).get_hash().to_owned()) }
        };
    )+};
}

scripts! {
    RESERVE = "reserve": "lua/reserve.lua";
    RELEASE = "release": "lua/release.lua";
    ACK = "ack": "lua/ack.lua";
    REASSIGN = "reassign": "lua/take_off.lua" "lua/reassign.lua";
    LEARN = "learn": "lua/take_off.lua" "lua/learn.lua";
    OFFER = "offer": "lua/offer.lua";
    RETIRE = "retire": "lua/retire.lua";
    CONFIGURE = "configure": "lua/configure.lua";
    LOAD = "load": "lua/load.lua";
    READ = "read": "lua/read.lua";
    UNITS = "units": "lua/units.lua";
    HOLD = "hold": "lua/hold.lua";
    BUYERS = "buyers": "lua/buyers.lua";
    DUE = "due": "lua/due.lua";
    PUT_BACK = "put_back": "lua/put_back.lua";
    LEASE_AUDIT = "lease_audit": "lua/lease_audit.lua";
    AUDITED = "audited": "lua/audited.lua";
    DROP = "drop": "lua/drop.lua";
}

/// One call of a script: keys in KEYS, values in ARGV.
pub(crate) struct Call {
    script: &'static Script,
    cmd: Cmd,
}

impl Call {
    pub(crate) fn new(script: &'static Script, spike_id: SpikeId, keys: &[Key]) -> Self {
        let mut cmd = Cmd::with_capacity(16, 1024);
        cmd.arg("EVALSHA").arg(script.sha.as_str()).arg(keys.len());
        for key in keys {
            cmd.arg(key.of(spike_id));
        }
        Self { script, cmd }
    }

    /// The script's name.
    pub(crate) fn name(&self) -> &'static str {
        self.script.name
    }

    pub(crate) fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.cmd.arg(value);
        self
    }

    /// Calls the script, and sends it along where Redis has forgotten it (a restart, `SCRIPT FLUSH`, a failover).
    ///
    /// By `EVAL` and not by `SCRIPT LOAD`: behind a proxy, as that of `ElastiCache` Serverless, what names no key may reach
    /// another node than the call after it.
    pub(crate) async fn send(self, connection: &mut dyn Connection) -> RedisResult<Value> {
        let answer = send(connection, &self.cmd).await;
        match &answer {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                send(connection, &self.whole()).await
            }
            _ => answer,
        }
    }

    /// The same call with the script in the place of its SHA.
    fn whole(&self) -> Cmd {
        let mut whole = Cmd::with_capacity(16, 4096);
        whole.arg("EVAL").arg(self.script.code);
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(value) = arg {
                whole.arg(value);
            }
        }
        whole
    }
}

/// Sends one command and takes errors out of its answer.
pub(crate) async fn send(connection: &mut dyn Connection, cmd: &Cmd) -> RedisResult<Value> {
    connection.req_packed_command(cmd).await?.extract_error()
}
