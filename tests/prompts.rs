//! Prompts at a pseudo-terminal made by Python: the terminal's state after an answer and after a signal.

use std::process::Command;

use crate::support::Lab;
use crate::support::outside::needs;

/// Starts a program at a new terminal, and types `typed` once it has printed `wanted` and set up the terminal.
///
/// Prints the signal that ended the program, whether the terminal echoes and is in canonical mode, and the program's output.
const AT_A_TERMINAL: &str = r#"
import json, os, pty, sys, termios, time
wanted, typed, argv = sys.argv[1].encode(), sys.argv[2].encode().decode("unicode_escape").encode(), sys.argv[3:]
ours, theirs = pty.openpty()
before = termios.tcgetattr(theirs)
child = os.fork()
if child == 0:
    os.setsid()
    os.dup2(theirs, 0); os.dup2(theirs, 1); os.dup2(theirs, 2)
    # It becomes the controlling terminal, so that Ctrl-C is a signal there.
    import fcntl
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execv(argv[0], argv)
seen, begun, sent, ended = b"", time.time(), False, None
os.set_blocking(ours, False)
# Only a program that hangs needs that long.
while time.time() - begun < 600:
    try:
        seen += os.read(ours, 65536)
    except (BlockingIOError, OSError):
        time.sleep(0.01)
    # What is typed earlier would be shown, or lost.
    if not sent and wanted in seen and termios.tcgetattr(theirs)[3] != before[3]:
        os.write(ours, typed)
        sent = True
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        ended = status
        break
if ended is None:
    os.kill(child, 9)
    os.waitpid(child, 0)
try:
    seen += os.read(ours, 65536)
except (BlockingIOError, OSError):
    pass
after = termios.tcgetattr(theirs)
print(json.dumps({
    "signal": os.WTERMSIG(ended) if ended is not None and os.WIFSIGNALED(ended) else None,
    "status": os.WEXITSTATUS(ended) if ended is not None and os.WIFEXITED(ended) else None,
    "asBefore": after[3] == before[3],
    "seen": seen.decode("utf-8", "replace"),
}))
"#;

/// Runs the program at a new terminal, and types `typed` once it shows `wanted`.
pub(crate) fn at_a_terminal(lab: &Lab, wanted: &str, typed: &str, args: &[&str]) -> serde_json::Value {
    let output = Command::new("/usr/bin/python3")
        .args(["-c", AT_A_TERMINAL, wanted, typed, env!("CARGO_BIN_EXE_clusterctl")])
        .args(args)
        .current_dir(lab.dir())
        .env("TERM", "xterm")
        .envs(&lab.env)
        .env_remove("CLUSTERCTL_DIR")
        .env_remove("CLUSTERCTL_CA_PASSPHRASE")
        .output()
        .expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn encrypted_keys() -> Lab {
    let mut lab = Lab::with(crate::support::CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "three in the morning".into());
    lab.good(&["init-ca"]);
    lab.good(&["issue-node", "on"]);
    lab
}

#[test]
fn ctrl_c_at_a_prompt_restores_the_terminal() {
    needs!("python3");
    let lab = encrypted_keys();
    let before = lab.snapshot();
    let passphrase = at_a_terminal(&lab, "assphrase", "\\x03", &["issue-node", "on", "--reissue"]);
    assert_eq!((&passphrase["signal"], &passphrase["asBefore"]), (&2.into(), &true.into()), "{passphrase}");
    let confirm = at_a_terminal(&lab, "[y/N]", "\\x03", &["revoke", "on"]);
    assert_eq!((&confirm["signal"], &confirm["asBefore"]), (&2.into(), &true.into()), "{confirm}");
    let seen = confirm["seen"].as_str().expect("text");
    assert!(seen.rfind("\u{1b}[?25h") > seen.rfind("\u{1b}[?25l"), "the cursor is there again: {seen:?}");
    let line = at_a_terminal(&lab, "Name of the cluster", "\\x03", &["--dir", "elsewhere", "init"]);
    assert_eq!((&line["signal"], &line["asBefore"]), (&2.into(), &true.into()), "{line}");
    let after = lab.snapshot();
    let keys = |files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "key" || e == "crt")).count()
    };
    assert_eq!(keys(&after), keys(&before));
}

#[test]
fn a_typed_answer_is_accepted_without_echo() {
    needs!("python3");
    let lab = encrypted_keys();
    let typed = at_a_terminal(&lab, "assphrase", "three in the morning\\r", &["issue-node", "on", "--reissue"]);
    assert_eq!((&typed["status"], &typed["asBefore"]), (&0.into(), &true.into()), "{typed}");
    assert!(!typed["seen"].as_str().expect("text").contains("three in"), "{typed}");
    for answer in ["n\\r", "\\r", "xyz\\r"] {
        let no = at_a_terminal(&lab, "[y/N]", answer, &["revoke", "on"]);
        assert_eq!((&no["status"], &no["asBefore"]), (&3.into(), &true.into()), "{answer}: {no}");
    }
    let yes = at_a_terminal(&Lab::issued(), "[y/N]", "yes\\r", &["revoke", "on"]);
    assert_eq!((&yes["status"], &yes["asBefore"]), (&0.into(), &true.into()), "{yes}");
}
