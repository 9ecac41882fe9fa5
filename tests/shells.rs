//! Completions and man pages, in the shells themselves.

use std::process::{Command, Stdio};

use clap::CommandFactory;
use clusterctl::commands::tree::Cli;

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool, tool};

fn committed(file: &str) -> String {
    format!("{}/completions/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn bash_zsh_and_fish_load_the_completions() {
    needs!("bash", "fish", "zsh");
    good_tool(
        "bash",
        &["--norc", "-c", &format!("source '{}' && complete -p clusterctl", committed("clusterctl.bash"))],
    );
    good_tool(
        "zsh",
        &["-f", "-c", &format!("autoload -U compinit && compinit -u -D && source '{}'", committed("_clusterctl"))],
    );
    good_tool("fish", &["--no-config", "-c", &format!("source '{}'", committed("clusterctl.fish"))]);
}

#[test]
fn dynamic_completion_lists_commands_flags_and_hosts() {
    let lab = Lab::with(CLUSTER);
    let asked = |words: &[&str]| {
        let mut args = vec!["--"];
        args.extend(words);
        let index = (words.len() - 1).to_string();
        let output = lab
            .process(&args)
            .envs([
                ("CLUSTERCTL_COMPLETE", "bash"),
                ("_CLAP_COMPLETE_INDEX", &index),
                ("_CLAP_COMPLETE_COMP_TYPE", "9"),
            ])
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_SPACE", "true")
            .output()
            .expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(asked(&["clusterctl", "issue-n"]).contains("issue-node"));
    assert!(asked(&["clusterctl", "issue-node", "wor"]).contains("worker-b1"));
    assert!(!asked(&["clusterctl", "issue-node", "mas"]).contains("master-1"));
    assert!(asked(&["clusterctl", "issue-master", "mas"]).contains("master-2"));
    assert!(asked(&["clusterctl", "bundle", ""]).contains("worker-a1.fra1.example.net"));
    assert!(asked(&["clusterctl", "issue-node", "--re"]).contains("--reissue"));
    assert!(asked(&["clusterctl", "demo", "--fault", "plain"]).contains("plaintext"));
    // --dir takes precedence over the working directory.
    let elsewhere = Lab::with(&CLUSTER.replace("worker-b1", "worker-c1"));
    let dir = elsewhere.dir().display().to_string();
    for given in [&["--dir", &dir][..], &[&format!("--dir={dir}")]] {
        let answer = asked(&[&["clusterctl"], given, &["issue-node", "wor"]].concat());
        assert!(answer.contains("worker-c1") && !answer.contains("worker-b1"), "{answer}");
    }
}

#[test]
fn fish_completes_host_names() {
    needs!("fish");
    let lab = Lab::with(CLUSTER);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_clusterctl"));
    let path = format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").expect("a path"));
    let script = format!("source '{}'; complete -C 'clusterctl issue-node o'", committed("clusterctl.fish"));
    let output = Command::new("fish")
        .args(["--no-config", "-c", &script])
        .current_dir(lab.dir())
        .env("PATH", path)
        .output()
        .expect("fish");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "on");
}

/// Types a word and TAB in a zsh that loads the function from its fpath, as an installation does.
///
/// Prints the terminal's text once it has `wanted`, or all of it on a timeout.
const AT_A_ZSH: &str = r#"
import os, pty, select, sys, time
folder, typed, wanted = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("zsh", ["zsh", "-f", "-i"])
def until(text, seen=""):
    # Only what never comes takes that long.
    begun = time.time()
    while text not in seen and time.time() - begun < 120:
        if select.select([terminal], [], [], 1)[0]:
            try:
                seen += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:
                break
    return seen
setup = f"PS1=; unsetopt zle_bracketed_paste; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; print READ''Y\n"
os.write(terminal, setup.encode())
until("READY")
os.write(terminal, typed.encode() + b"\t")
print(until(wanted))
os.write(terminal, b"\x15exit\n")
os.close(terminal)
os.waitpid(child, 0)
"#;

#[test]
fn zsh_completes_at_the_first_tab() {
    needs!("python3");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_clusterctl"));
    let path = format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").expect("a path"));
    let folder = format!("{}/completions", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("/usr/bin/python3")
        .args(["-c", AT_A_ZSH, &folder, "clusterctl issue-m", "issue-master"])
        .env("PATH", path)
        .output()
        .expect("python3");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("clusterctl issue-master"), "{shown}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns the number of pages: one for each command and for each command below it.
fn pages(command: &clap::Command) -> usize {
    1 + command.get_subcommands().map(pages).sum::<usize>()
}

#[test]
fn man_pages_are_written_for_every_command_and_man_reads_them() {
    let lab = Lab::empty();
    let ran = lab.good(&["man", "pages"]);
    assert!(ran.out.contains("DIR/pages/clusterctl-issue-node.1\n"), "{ran}");
    assert_eq!(ran.out.lines().count(), pages(&Cli::command()));
    let page = lab.read("pages/clusterctl-issue-node.1");
    assert!(page.starts_with(".ie") && page.contains(".TH clusterctl-issue-node 1"), "{page}");
    assert!(page.contains(".SH SYNOPSIS\n\\fBclusterctl issue\\-node [OPTIONS] [HOST]...\\fR\n"), "{page}");
    assert!(page.contains("--dry\\-run") || page.contains("\\-\\-dry\\-run"), "{page}");
}

#[test]
fn a_closed_pipe_exits_silently() {
    needs!("bash");
    let lab = Lab::issued();
    let program = env!("CARGO_BIN_EXE_clusterctl");
    let piped = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; '{program}' show pki/ca.crt pki/ca.crt pki/ca.crt | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}")])
        .current_dir(lab.dir())
        .stderr(Stdio::piped())
        .output()
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&piped.stdout).trim(), "0");
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "");
}

#[test]
fn an_unwritable_standard_output_exits_with_4() {
    needs!("bash");
    let program = env!("CARGO_BIN_EXE_clusterctl");
    for args in ["completions bash", "--version", "issue-node --help"] {
        let full = tool("bash", &["-c", &format!("'{program}' {args} > /dev/full")]);
        assert_eq!(full.status.code(), Some(4), "{args}");
        assert!(String::from_utf8_lossy(&full.stderr).starts_with("error: "), "{args}");
    }
}
