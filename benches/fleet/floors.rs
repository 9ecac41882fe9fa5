//! The bare work under each command, as simple as possible, on all cores where it can be divided.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flate2::{Compress, Compression, FlushCompress};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustix::fs::{CWD, IFlags, RenameFlags, ioctl_getflags, ioctl_setflags, renameat_with};

use crate::cost::{self, Cost};
use crate::samples::{Bundles, Credentials};

/// The file that makes the kernel empty its caches (proc(5), `drop_caches`).
const CACHES: &str = "/proc/sys/vm/drop_caches";

/// The length of the signed part of a certificate, in bytes.
const MESSAGE: [u8; 400] = [7; 400];

/// The names of a folder's files.
const FILES: [&str; 4] = ["a", "b", "c", "d"];

/// The threads that delete at the same time; most of the time they wait for the disk.
const DELETING_THREADS: usize = 64;

/// Syncs earlier writes to the disk, so that they do not count in the next measurement.
pub(crate) fn settle(place: &Path) {
    rustix::fs::syncfs(File::open(place).expect("the folder")).expect("synced");
}

/// Returns whether this process may empty the kernel's caches, as root may.
pub(crate) fn caches_can_be_emptied() -> bool {
    fs::OpenOptions::new().write(true).open(CACHES).is_ok()
}

/// Syncs, and empties the kernel's file caches of the whole machine, if allowed: a fleet leaves a million
/// inodes in them, which slow down the creation of files, the more the larger the fleet before was.
pub(crate) fn settle_afresh(place: &Path) {
    settle(place);
    let _ = fs::write(CACHES, "3");
}

/// Returns the time that `work` takes until its writes are synced.
pub(crate) fn settled<T>(place: &Path, work: impl FnOnce() -> T) -> Cost {
    settle(place);
    cost::of(|| {
        std::hint::black_box(work());
        settle(place);
    })
}

/// For each certificate: a P-256 key, a signature by the root, and one verification, the self-check.
pub(crate) fn sign_and_verify(count: usize) {
    let root = key_pair();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, root.public_key().as_ref());
    (0..count).into_par_iter().for_each(|_| {
        let rng = SystemRandom::new();
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).expect("a key");
        let signature = root.sign(&rng, &MESSAGE).expect("a signature");
        public.verify(&MESSAGE, signature.as_ref()).expect("good");
    });
}

/// One P-256 verification for each certificate.
pub(crate) fn verify(count: usize) {
    let root = key_pair();
    let signature = root.sign(&SystemRandom::new(), &MESSAGE).expect("a signature");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, root.public_key().as_ref());
    (0..count).into_par_iter().for_each(|_| public.verify(&MESSAGE, signature.as_ref()).expect("good"));
}

fn key_pair() -> EcdsaKeyPair {
    let rng = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).expect("a key");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &rng).expect("the same key")
}

/// A folder for each node, with files of the sizes that a node's have.
pub(crate) fn create_folders(place: &Path, count: usize, sample: &Credentials) {
    fs::create_dir(place).expect("a new folder");
    (0..count).into_par_iter().for_each(|i| create_folder(&place.join(i.to_string()), sample));
}

fn create_folder(folder: &Path, sample: &Credentials) {
    fs::create_dir(folder).expect("a new folder");
    for (name, size) in FILES.iter().zip(&sample.sizes) {
        fs::write(folder.join(name), &[b'x'; 4096][..*size]).expect("written");
    }
}

/// For each folder of [`create_folders`] a new one with as many files, put in its place after a sync. What was replaced is
/// deleted at the end, by many threads.
pub(crate) fn replace_folders(place: &Path, count: usize, sample: &Credentials) {
    let new = |i: usize| place.join(format!(".{i}"));
    (0..count).into_par_iter().for_each(|i| create_folder(&new(i), sample));
    settle(place);
    for i in 0..count {
        renameat_with(CWD, new(i), CWD, place.join(i.to_string()), RenameFlags::EXCHANGE).expect("exchanged");
    }
    settle(place);
    let delete = |i: usize| {
        let folder = new(i);
        // Open until its name is gone, so that it is not freed under the lock of its parent folder.
        let open = File::open(&folder).expect("the folder");
        for name in FILES {
            fs::remove_file(folder.join(name)).expect("deleted");
        }
        fs::remove_dir(&folder).expect("deleted");
        drop(open);
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(DELETING_THREADS).build().expect("threads");
    pool.install(|| (0..count).into_par_iter().for_each(delete));
}

/// Makes ext4 put each folder in `place` into block groups of its own, as it does with the users' folders in `/home`.
///
/// An ext4 without a journal searches long for an inode that was not freed in the last minutes. The fleets would share
/// block groups, and pay for what was deleted in another. Other file systems do not know the flag.
pub(crate) fn spread(place: &Path) {
    let folder = File::open(place).expect("the folder");
    let _ = ioctl_getflags(&folder).and_then(|flags| ioctl_setflags(&folder, flags | IFlags::TOPDIR));
}

/// All rows of the ledger in one transaction, in the ledger's own format.
pub(crate) fn record(ledger: &Path, count: usize, sample: &Credentials) {
    let mut connection = rusqlite::Connection::open(ledger).expect("a ledger");
    let transaction = connection.transaction().expect("a transaction");
    let insert = "INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, not_after, \
                  issuer_sha256, issued_at, issued_by, der) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?7, ?9, ?10)";
    let mut insert = transaction.prepare(insert).expect("a statement");
    for i in 0..count {
        let digest =
            |what: &str| clusterctl::pki::fingerprint::Fingerprint::of(format!("{what} {i}").as_bytes()).to_string();
        let (host, moment) = (format!("worker-{:06}.fra1.example.net", i / 2), "2026-11-23T12:00:00Z");
        let (serial, sha256, spki) = (digest("serial"), digest("certificate"), digest("key"));
        let issuer = &digest("root")[..64];
        let row = rusqlite::params![
            &serial[..32],
            sha256,
            spki,
            "kubelet-server",
            host,
            host,
            moment,
            issuer,
            "somebody@somewhere",
            sample.der
        ];
        insert.execute(row).expect("a row");
    }
    drop(insert);
    transaction.commit().expect("committed");
}

/// Every row of the ledger's index.
pub(crate) fn index(ledger: &Path) -> usize {
    let connection = rusqlite::Connection::open(ledger).expect("a ledger");
    let mut select = connection.prepare("SELECT sha256 FROM certificates").expect("a statement");
    let rows = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.map(|row| row.expect("a row").len()).sum()
}

/// Every name in the folder, and not what is below.
pub(crate) fn names(folder: &Path) -> usize {
    fs::read_dir(folder).expect("a folder").count()
}

/// Every name in the folder, and in every folder in it.
pub(crate) fn listing(place: &Path) -> usize {
    paths(place).par_iter().map(|folder| names(folder)).sum()
}

/// Deflate, at the level that bundles have, of as many bundles.
pub(crate) fn deflate(count: usize, bundles: &Bundles) {
    let compress = |compressor: &mut (Compress, Vec<u8>), i: usize| {
        let (compressor, out) = compressor;
        let tar = &bundles.tars[i % bundles.tars.len()];
        compressor.reset();
        out.clear();
        out.reserve(tar.len() + 128);
        compressor.compress_vec(tar, out, FlushCompress::Finish).expect("deflated");
    };
    let compressor = || (Compress::new(Compression::fast(), false), Vec::new());
    (0..count).into_par_iter().with_min_len(256).for_each_init(compressor, compress);
}

/// Writes as many bundles into one folder.
pub(crate) fn create_files(place: &Path, count: usize, bundles: &Bundles) {
    fs::create_dir(place).expect("a new folder");
    for i in 0..count {
        fs::write(place.join(format!("worker-{i:06}.tar.gz")), &bundles.packed[i % bundles.packed.len()])
            .expect("written");
    }
}

/// Every file in every folder of `place`.
pub(crate) fn read_files(place: &Path) -> usize {
    let read = |folder: &PathBuf| paths(folder).iter().map(|path| fs::read(path).expect("a file").len()).sum::<usize>();
    paths(place).par_iter().map(read).sum()
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}
