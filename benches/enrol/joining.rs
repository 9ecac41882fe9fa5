//! `join` as a process, against a server that decides and signs, and a bootstrap endpoint.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clusterctl::app::Env;
use clusterctl::app::enrol::bootstrap::{self, BootstrapOptions};
use clusterctl::store::layout::Layout;
use time::OffsetDateTime;

use crate::site::{Server, Site};
use crate::usage::Used;

pub(crate) struct Joins {
    pub(crate) count: usize,
    /// Seconds.
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Processor seconds of `join`, its installer and `bundle`.
    pub(crate) processor: f64,
}

/// Lets hosts join, one after another. As in an office, another process packs a bundle when its host has certificates.
pub(crate) fn measure(site: &Site, server: &Server, count: usize) -> Joins {
    let env =
        Env { layout: Layout::new(site.folder().to_owned()), now: OffsetDateTime::now_utc(), actor: "bench".into() };
    let path = |below: &str| site.folder().join(below).display().to_string();
    let state = site.folder().join("boot");
    let options = BootstrapOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        state,
        credential: None,
        max_connections_per_address: bootstrap::MAX_CONNECTIONS_PER_ADDRESS,
    };
    let endpoint = bootstrap::serve(&options, &env, Arc::new(OffsetDateTime::now_utc)).expect("an endpoint");
    let url = format!("https://{}", endpoint.address);
    let token = run(&mut site.program(&["serve", "bootstrap", "--state", &path("boot"), "--create-token"]));
    std::fs::write(site.folder().join("registration"), token).expect("written");
    let cluster = run(&mut site.program(&["register", &url, "--token-file", &path("registration")]));
    run(&mut site.program(&["issue-admin", "announcer", "--announcer"]));
    let enrolment = format!("https://{}", server.address);
    let kubeconfig = &path("pki/admins/announcer.conf");
    run(&mut site.program(&["announce", &url, "--enrolment", &enrolment, "--kubeconfig", kubeconfig]));
    let (mut times, mut processor) = (Vec::new(), 0.0);
    // The first one is not counted: the server and the caches are warm after it.
    for number in 0..=count {
        let host = format!("n{number}");
        let spent = join(site, &host, cluster.trim());
        if number > 0 {
            times.push(spent.0);
            processor += spent.1 / count as f64;
        }
    }
    times.sort_by(f64::total_cmp);
    Joins { count, median: times[count / 2], least: times[0], most: times[count - 1], processor }
}

/// Returns the seconds that passed, and the processor seconds of the programs.
fn join(site: &Site, host: &str, cluster: &str) -> (f64, f64) {
    let root = site.folder().join("hosts").join(host);
    std::fs::create_dir_all(root.join("etc")).expect("made");
    let root = root.display().to_string();
    let certificates =
        ["client", "server"].map(|kind| site.folder().join(format!("pki/nodes/{host}/kubelet-{kind}.crt")));
    let is_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_ended.load(Ordering::Relaxed) {
                if certificates.iter().all(|file| file.exists()) {
                    run(&mut site.program(&["bundle", host]));
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let used = Used::start(std::process::id());
        let flags = ["--host", host, "--root", &root, "--wait", "60s", "--no-start"];
        run(site.program(&["join", "--cluster", cluster]).args(flags));
        is_ended.store(true, Ordering::Relaxed);
        let spent = used.stop();
        (spent.elapsed, spent.children)
    })
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
