//! Rotations from and to CAs whose keys are in a token of SoftHSM.

use std::path::Path;
use std::process::Command;

use super::{lab, rotate, signers, signs};
use crate::support::Lab;
use crate::support::outside::{needs, stdout};

const PIN: &str = "648219";

/// Returns the path of SoftHSM's module.
fn module() -> &'static str {
    let known = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    known.into_iter().find(|path| Path::new(path).exists()).expect("SoftHSM has a module")
}

/// Makes a token called `prod`.
fn token(lab: &mut Lab) {
    std::fs::create_dir(lab.path("tokens")).expect("a folder");
    let tokens = lab.path("tokens").display().to_string();
    lab.write(
        "softhsm2.conf",
        &format!("directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"),
    );
    lab.env.insert("SOFTHSM2_CONF".to_owned(), lab.path("softhsm2.conf").into());
    let init = ["--init-token", "--free", "--label", "prod", "--pin", PIN, "--so-pin", "11223344"];
    stdout(Command::new("softhsm2-util").args(init).envs(&lab.env));
    lab.write("pin", &format!("{PIN}\n"));
}

fn in_token(label: &str) -> String {
    format!("{{pkcs11: \"pkcs11:token=prod;object={label}?pin-source=file:pin\", module: \"{}\"}}", module())
}

#[test]
fn a_file_is_replaced_by_a_token_and_that_by_a_file() {
    needs!("softhsm2-util", "openssl");
    let lab = lab(token, "");
    signers(&lab, &format!("  next-cluster: {}\n", in_token("ca-2")));
    rotate(&lab, "1.age");
    assert!(!lab.path("pki/ca.key").exists(), "the old key was a file, and is deleted");
    // The entry may stay as it is until it is moved.
    signs(&lab);
    signers(&lab, &format!("  cluster: {}\n", in_token("ca-2")));
    signs(&lab);
    rotate(&lab, "2.age");
    assert!(lab.path("pki/ca.key").exists(), "the new key is a file");
    signers(&lab, "");
    signs(&lab);
}
