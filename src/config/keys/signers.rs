//! The keys of `signers`.

use super::{Absent, Format, Key, Value};

const PROGRAM: Value = Value::Text(Format { name: "argument", pattern: r"^[^\x00]*$" });
const PKCS11: Value = Value::Text(Format { name: "PKCS#11 URI", pattern: "^pkcs11:" });
const MODULE: Value = Value::Text(Format { name: "shared library", pattern: r"\S" });
const TIMEOUT: Value = Value::Text(Format { name: "duration, 1s to 24h", pattern: "^[0-9]+[smh]$" });
const KEY_FILE: Absent = Absent::Rule("its key is a file in the cluster directory");

/// The keys of `signers`. Their names are those of [`crate::cluster::profile::CaRole::name`].
pub const SIGNERS: [Key; 4] = [
    Key {
        name: "cluster",
        value: Value::Mapping(&SIGNER),
        absent: KEY_FILE,
        example: "{exec: [/usr/local/bin/sign-by-kms, prod]}",
        description: "The holder of the key of the cluster's CA.",
    },
    Key {
        name: "etcd",
        value: Value::Mapping(&SIGNER),
        absent: KEY_FILE,
        example: "{exec: [/usr/local/bin/sign-by-kms, prod-etcd]}",
        description: "The holder of the key of etcd's CA.",
    },
    Key {
        name: "front-proxy",
        value: Value::Mapping(&SIGNER),
        absent: KEY_FILE,
        example: "{exec: [/usr/local/bin/sign-by-kms, prod-front-proxy]}",
        description: "The holder of the key of the front proxy's CA.",
    },
    Key {
        name: "next-cluster",
        value: Value::Mapping(&SIGNER),
        absent: Absent::Rule("the key of the CA that `rotate-ca start` makes is a file"),
        example: "{pkcs11: \"pkcs11:token=prod;object=ca-2\"}",
        description: "The holder of the key of the CA that replaces the cluster's in a rotation. After the rotation it becomes \
                      `cluster`.",
    },
];

/// The keys of an entry of `signers`.
pub const SIGNER: [Key; 4] = [
    Key {
        name: "exec",
        value: Value::List { item: &PROGRAM, min: 1 },
        absent: Absent::Rule("the key is in the token that `pkcs11` names"),
        example: "[/usr/local/bin/sign-by-kms, prod]",
        description: "A program and its arguments, run without a shell. It reads what is to be signed on standard \
                      input and writes the signature on standard output. A path is relative to the cluster directory; a \
                      name without a slash is looked up in PATH.",
    },
    Key {
        name: "timeout",
        value: TIMEOUT,
        absent: Absent::Default("60s"),
        example: "5m",
        description: "How long the program may take for one answer. After that it is killed.",
    },
    Key {
        name: "pkcs11",
        value: PKCS11,
        absent: Absent::Rule("the key is with the program that `exec` names"),
        example: "\"pkcs11:token=prod;object=ca?pin-source=file:/run/credentials/pin\"",
        description: "The PKCS#11 URI (RFC 7512) of a key in a token: a smart card, a security module. The PIN is in the file \
                      that `pin-source` names, in CLUSTERCTL_PIN, or asked for.",
    },
    Key {
        name: "module",
        value: MODULE,
        absent: Absent::Rule("`module-path` of the URI, or CLUSTERCTL_PKCS11_MODULE"),
        example: "/usr/lib/softhsm/libsofthsm2.so",
        description: "The token's PKCS#11 module, a shared library that clusterctl loads. A path is relative to the cluster \
                      directory; a name without a slash is looked up where the system has its libraries.",
    },
];
