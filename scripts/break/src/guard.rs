//! Whoever is started here does not outlive us, however we end.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;

/// Keeps the ids of what runs. When our end of the pipe closes, it kills what is left and removes the directory.
const WATCH: &str = r#"
pids=
while read -r what pid; do
  case $what in
    +) pids="$pids $pid" ;;
    -) rest=; for other in $pids; do [ "$other" = "$pid" ] || rest="$rest $other"; done; pids=$rest ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
for _ in 1 2 3 4 5; do rm -rf "$0" && [ ! -e "$0" ] && exit; sleep 1; done
"#;

/// A shell that ends our children, by their ids, when we are gone.
#[derive(Debug)]
pub struct Guard {
    pipe: Mutex<Option<ChildStdin>>,
    shell: Mutex<Child>,
}

impl Guard {
    /// Watches over this process and removes `directory` after it. A Ctrl-C at the terminal does not reach the shell.
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH]).arg(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(Stdio::null()).process_group(0);
        let mut shell = command.spawn().context("cannot start sh")?;
        let pipe = Mutex::new(shell.stdin.take());
        let shell = Mutex::new(shell);
        Ok(Self { pipe, shell })
    }

    /// A process has started.
    pub fn watch(&self, id: u32) {
        self.say(&format!("+ {id}\n"));
    }

    /// A process was waited for: its id may be another's from now on.
    pub fn forget(&self, id: u32) {
        self.say(&format!("- {id}\n"));
    }

    fn say(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = &mut *pipe {
            // A shell that somebody has killed cannot be told; the children are killed when they are dropped.
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let pipe = self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.take());
        let shell = self.shell.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = shell.wait();
    }
}
