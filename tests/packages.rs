//! What is published, and the packages. The ignored tests try the static binary that `CLUSTERCTL_STATIC_BINARY` names, a Debian package of it,
//! and a container image; `tests/run` runs them when it is set.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::outside::{needs, stdout};
use crate::support::{CLUSTER, Lab, good_tool};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The static binary that the environment names.
fn static_binary() -> String {
    std::env::var("CLUSTERCTL_STATIC_BINARY").expect("CLUSTERCTL_STATIC_BINARY names a static binary")
}

#[test]
fn the_published_crate_builds_and_has_no_tests() {
    needs!("git");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut list = Command::new(cargo);
    let listed = stdout(list.args(["package", "--list", "--allow-dirty", "--offline"]).current_dir(ROOT));
    let files: Vec<&str> = listed.lines().collect();
    for needed in
        ["Cargo.lock", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "build.rs", "src/main.rs"]
    {
        assert!(files.contains(&needed), "{needed} is missing");
    }
    let outer = |file: &&&str| !file.starts_with('.') || **file == ".cargo_vcs_info.json";
    assert_eq!(files.iter().filter(|file| !outer(file)).collect::<Vec<_>>(), Vec::<&&str>::new());
    for folder in ["tests/", "fuzz/", "benches/", "packaging/", "docs/", "target/"] {
        assert!(!files.iter().any(|file| file.starts_with(folder)), "{folder} is published");
    }
    // Everything that the source includes at compile time.
    let is_compiled = |file: &&&str| file.starts_with("src/") && file.ends_with(".rs") && !file.ends_with("/tests.rs");
    let included = files.iter().filter(is_compiled);
    for file in included {
        let text = std::fs::read_to_string(Path::new(ROOT).join(file)).expect(file);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for path in text.split("include_str!(\"").chain(text.split("include_bytes!(\"")).skip(1) {
            let Some((path, _)) = path.split_once('"').filter(|(path, _)| path.starts_with("../")) else { continue };
            let folder = Path::new(file).parent().expect("a folder");
            let (mut parts, mut depth) = (Vec::new(), 0);
            for part in folder.join(path).components().map(|part| part.as_os_str().to_string_lossy().into_owned()) {
                if part == ".." {
                    depth += 1;
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            let target = parts.join("/");
            assert!(depth > 0 && files.contains(&target.as_str()), "{file} includes {target}, which is not published");
        }
    }
}

#[test]
#[ignore = "needs CLUSTERCTL_STATIC_BINARY"]
fn a_static_binary_works_in_an_empty_root() {
    let binary = static_binary();
    needs!("root", "python3");
    let said = good_tool(&format!("{ROOT}/packaging/try-static"), &[&binary]);
    assert_eq!(said.lines().filter(|line| line.starts_with("-- ")).count(), 6, "{said}");
}

/// A program that cannot load a token's module says so, and makes nothing.
fn refuses_tokens(program: &str) {
    let lab = Lab::empty();
    let signer = "{pkcs11: 'pkcs11:token=prod;object=ca', module: m.so}";
    lab.write("cluster.yaml", &format!("{CLUSTER}signers: {{cluster: {signer}}}\n"));
    let mut command = Command::new(program);
    let output = command.args(["init-ca", "--plaintext-ca-key"]).current_dir(lab.dir()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    insta::assert_snapshot!("a_program_without_pkcs11", said);
    assert!(!lab.path("pki/ca.crt").exists());
}

#[test]
#[ignore = "needs CLUSTERCTL_STATIC_BINARY"]
fn a_static_binary_refuses_tokens() {
    refuses_tokens(&static_binary());
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_program_without_pkcs11_refuses_tokens() {
    refuses_tokens(env!("CARGO_BIN_EXE_clusterctl"));
}

#[test]
#[ignore = "needs CLUSTERCTL_STATIC_BINARY"]
fn the_debian_package_is_reproducible_and_installs() {
    let binary = static_binary();
    needs!("root", "dpkg-deb", "man", "strip");
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let packages = folders.each_ref().map(|folder| {
        let made = good_tool(&format!("{ROOT}/packaging/deb"), &[&binary, &folder.path().display().to_string()]);
        made.trim().to_owned()
    });
    let bytes = packages.each_ref().map(|path| std::fs::read(path).expect("a package"));
    assert!(bytes[0] == bytes[1], "the packages differ");
    good_tool(&format!("{ROOT}/packaging/try-deb"), &[&packages[0]]);
}

#[test]
fn the_debian_package_has_all_examples() {
    needs!("dpkg-deb", "strip", "man");
    let folder = tempfile::tempdir().expect("a folder");
    // The documents do not depend on the program, and a small one is packed at once.
    let mut deb = Command::new(format!("{ROOT}/packaging/deb"));
    deb.args(["/bin/true", &folder.path().display().to_string()]).env("NATIVE", env!("CARGO_BIN_EXE_clusterctl"));
    let made = stdout(&mut deb);
    let listed = good_tool("dpkg-deb", &["--contents", made.trim()]);
    let packed: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.split_once("/usr/share/doc/clusterctl/examples/"))
        .map(|(_, path)| path)
        .collect();
    let mut open = vec![Path::new(ROOT).join("examples")];
    let mut count = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(Path::new(ROOT).join("examples")).expect("below").display().to_string();
            assert_eq!(packed.contains(name.as_str()), !name.ends_with(".rs"), "{name}: {packed:?}");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
#[ignore = "needs CLUSTERCTL_STATIC_BINARY"]
fn the_container_image_is_reproducible_and_runs_as_its_own_user() {
    let binary = static_binary();
    needs!("root", "buildah");
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("image.tar").display().to_string();
    let ids = [(); 2].map(|()| good_tool(&format!("{ROOT}/packaging/image"), &[&binary, &archive]));
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0].trim().len(), 64, "{}", ids[0]);
    good_tool(&format!("{ROOT}/packaging/try-image"), &[&archive]);
}
