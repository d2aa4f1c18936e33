//! The scripts, and how they are called: by SHA, and loaded once where Redis does not know them.

use std::sync::LazyLock;

use domain::SpikeId;
use redis::{Cmd, RedisResult, ServerErrorKind, ToRedisArgs, Value};

use crate::{connection::Connection, keys::Key};

/// One Lua script.
pub(crate) struct Script {
    code: &'static str,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)+) => {$(
        pub(crate) static $name: Script = {
            const CODE: &str = concat!($(include_str!($file)),+);
            Script { code: CODE, sha: LazyLock::new(|| redis::Script::new(CODE).get_hash().to_owned()) }
        };
    )+};
}

scripts! {
    RESERVE = "lua/reserve.lua";
    RELEASE = "lua/release.lua";
    ACK = "lua/ack.lua";
    REASSIGN = "lua/take_off.lua" "lua/reassign.lua";
    LEARN = "lua/take_off.lua" "lua/learn.lua";
    OFFER = "lua/offer.lua";
    RETIRE = "lua/retire.lua";
    CONFIGURE = "lua/configure.lua";
    LOAD = "lua/load.lua";
    READ = "lua/read.lua";
    UNITS = "lua/units.lua";
    HOLD = "lua/hold.lua";
    BUYERS = "lua/buyers.lua";
    DUE = "lua/due.lua";
    PUT_BACK = "lua/put_back.lua";
    LEASE_AUDIT = "lua/lease_audit.lua";
    AUDITED = "lua/audited.lua";
    DROP = "lua/drop.lua";
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

    pub(crate) fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.cmd.arg(value);
        self
    }

    /// Calls the script, loading it first where Redis has forgotten it (a restart, `SCRIPT FLUSH`, a failover).
    pub(crate) async fn send(self, connection: &mut dyn Connection) -> RedisResult<Value> {
        let answer = send(connection, &self.cmd).await;
        match &answer {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(self.script.code);
                send(connection, &load).await?;
                send(connection, &self.cmd).await
            }
            _ => answer,
        }
    }
}

/// Sends one command and takes errors out of its answer.
pub(crate) async fn send(connection: &mut dyn Connection, cmd: &Cmd) -> RedisResult<Value> {
    connection.req_packed_command(cmd).await?.extract_error()
}
