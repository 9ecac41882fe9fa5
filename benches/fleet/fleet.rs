//! A cluster directory with many nodes, and what its baselines imitate.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::child::{self, Run};
use crate::floors;
use crate::samples::{Bundles, Credentials};

/// The number of different bundles that represent all.
const SAMPLES: usize = 64;

/// A cluster directory with roots, and nothing issued yet.
pub(crate) struct Fleet(PathBuf);

impl Fleet {
    /// Two masters and so many nodes, each with a name and an address as clouds give them.
    pub(crate) fn new(place: &Path, nodes: usize) -> Self {
        std::fs::create_dir(place).expect("a new folder");
        let mut file = String::from(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: fleet\nendpoint: https://api.example.net:6443\n\
             masters:\n- {name: master-1, addresses: [10.0.0.1]}\n- {name: master-2, addresses: [10.0.0.2]}\nnodes:\n",
        );
        for i in 0..nodes {
            let (a, b, c) = (1 + i / 65_536, i / 256 % 256, i % 256);
            let _ = writeln!(file, "- name: worker-{i:06}.fra1.example.net\n  addresses: [10.{a}.{b}.{c}]");
        }
        std::fs::write(place.join("cluster.yaml"), file).expect("a cluster file");
        let fleet = Self(place.to_owned());
        // The passphrase's scrypt is no part of what is measured here.
        fleet.run(&["init-ca", "--plaintext-ca-key"]);
        fleet
    }

    /// A path in the cluster directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// Runs clusterctl in the cluster directory.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        child::run(Path::new(env!("CARGO_BIN_EXE_clusterctl")), args, &self.0)
    }

    /// Like [`Self::run`], after earlier writes are synced and the kernel's caches are emptied but for the program's file.
    pub(crate) fn run_afresh(&self, args: &[&str]) -> Run {
        floors::settle_afresh(&self.0);
        self.load_the_program();
        self.run(args)
    }

    /// Reads the program's file into the kernel's cache.
    pub(crate) fn load_the_program(&self) {
        self.run(&["--version"]);
    }

    /// Returns the sizes of a node's files; a master's are similar.
    pub(crate) fn sample_of_credentials(&self) -> Credentials {
        let read = |name: &str| std::fs::read(self.path("pki/masters/master-1").join(name)).expect("a credential");
        let (certificate, key) = (read("apiserver-kubelet-client.crt"), read("apiserver-kubelet-client.key"));
        let der = clusterctl::pki::pem::certificates(&certificate).expect("a certificate").swap_remove(0);
        Credentials { sizes: vec![certificate.len(), key.len(), certificate.len(), key.len()], der }
    }

    /// The ledger once more, to be written to by others.
    pub(crate) fn copy_of_the_ledger(&self) -> PathBuf {
        let copy = self.path("floor.sqlite3");
        std::fs::copy(self.path("pki/ledger.sqlite3"), &copy).expect("a copy");
        copy
    }

    /// Some of the bundles that were packed.
    pub(crate) fn sample_of_bundles(&self) -> Bundles {
        let entries = std::fs::read_dir(self.path("bundles")).expect("bundles");
        let paths = entries.map(|entry| entry.expect("an entry").path()).take(SAMPLES);
        let packed: Vec<Vec<u8>> = paths.map(|path| std::fs::read(path).expect("a bundle")).collect();
        let unpack = |bytes: &Vec<u8>| {
            let mut tar = Vec::new();
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).expect("gzip");
            tar
        };
        Bundles { tars: packed.iter().map(unpack).collect(), packed }
    }
}
