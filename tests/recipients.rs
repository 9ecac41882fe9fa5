//! Recipients of encrypted bundles: from flags, files, the cluster file and `known_hosts`.

use std::collections::BTreeSet;

use clusterctl::app::package::PackageError;
use clusterctl::app::package::encryption::Recipients;
use clusterctl::pki::known_hosts::KnownHosts;

use crate::support::encryption::{age_key, age_opens, bundles, cluster_with, encrypt, folder_of, ssh_key};
use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

#[test]
fn the_cluster_file_names_recipients_and_the_command_line_overrides_them() {
    needs!("age", "age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let (host, admin, other) = (ssh_key(&lab, "host", "ed25519", ""), age_key(&lab, "admin"), age_key(&lab, "other"));
    lab.write("cluster.yaml", &cluster_with(&format!("[\"{host} root@on\", {admin}]")));
    lab.good(&["bundle", "on"]);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "host").is_some());
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "admin").is_some());

    lab.good(&["bundle", "on", "--encrypt-to", &other]);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "other").is_some());
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "host").is_none());

    lab.good(&["bundle", "on", "--unencrypted"]);
    assert_eq!(bundles(&lab), ["on.tar.gz"]);

    // A single recipient may be a plain string.
    lab.write("cluster.yaml", &cluster_with(&format!("\"{host}\"")));
    lab.good(&["bundle", "on"]);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "host").is_some());

    // The other hosts have no recipients, so nothing is packed.
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "--all"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("hosts_without_recipients", refused.err);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn flags_have_their_former_names_too() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "key");
    lab.good(&["bundle", "on", "--seal-to", &recipient, "--forget-keys"]);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on"), ["kubelet-client.crt", "kubelet-server.crt"]);
    lab.good(&["issue-node", "--reissue", "on"]);
    lab.good(&["bundle", "on", "--unsealed"]);
    assert_eq!(bundles(&lab), ["on.tar.gz"]);
    let help = lab.good(&["bundle", "--help"]).out;
    assert!(["--seal-to", "--forget-keys", "--unsealed"].iter().all(|former| !help.contains(former)), "{help}");
}

#[test]
fn recipients_of_a_file_apply_to_all_hosts() {
    needs!("age", "age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let (one, two) = (age_key(&lab, "one"), ssh_key(&lab, "two", "ed25519", ""));
    lab.write("recipients", &format!("# ours\n\n{one}\n{two} a comment\n"));
    lab.good(&["bundle", "--all", "--encrypt-to", "recipients"]);
    assert_eq!(bundles(&lab).len(), 5);
    assert!(bundles(&lab).iter().all(|name| name.ends_with(".tar.gz.age")));
    assert!(age_opens(&lab, "bundles/worker-b1.tar.gz.age", "one").is_some());
    assert!(age_opens(&lab, "bundles/master-2.tar.gz.age", "two").is_some());
}

#[test]
fn known_hosts_gives_each_host_its_own_key() {
    needs!("age", "python3", "ssh-keygen", "xmllint");
    let lab = Lab::issued();
    let hosts = [
        ("master-1", "master-1.example.net"),
        ("master-2", "10.20.0.12"),
        ("worker-a1.fra1.example.net", "fd20:1::11"),
        ("on", "10.20.4.1"),
        ("worker-b1", "worker-b1"),
    ];
    let mut file = String::from("# learned by hand\n");
    for (host, known_as) in hosts {
        let key = ssh_key(&lab, &format!("key-of-{host}"), "ed25519", "");
        let other = ssh_key(&lab, &format!("other-key-of-{host}"), "ecdsa", "");
        file.push_str(&format!("{known_as} {other}\n{known_as} {key}\n"));
    }
    lab.write("known_hosts", &file);
    let check = |lab: &Lab| {
        for (host, _) in hosts {
            let encrypted = format!("bundles/{host}.tar.gz.age");
            assert!(age_opens(lab, &encrypted, &format!("key-of-{host}")).is_some(), "{host}");
            for (other, _) in hosts.iter().filter(|(other, _)| *other != host) {
                assert!(age_opens(lab, &encrypted, &format!("key-of-{other}")).is_none(), "{host} {other}");
            }
        }
    };
    lab.good(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    check(&lab);

    // Another port is another sshd, whose key is not the host's.
    let elsewhere = ssh_key(&lab, "key-elsewhere", "ed25519", "");
    lab.write("known_hosts", &format!("[10.20.4.1]:2222,[on]:2222 {elsewhere}\n{file}"));
    lab.good(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    check(&lab);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "key-elsewhere").is_none());
    lab.write("known_hosts", &file.replace("10.20.4.1", "[10.20.4.1]:2222"));
    let refused = lab.run(&["bundle", "on", "--known-hosts", "known_hosts"]);
    assert_eq!(refused.status, 3, "{refused}");

    // Hashed by ssh-keygen itself.
    lab.write("known_hosts", &file);
    let path = lab.path("known_hosts").display().to_string();
    good_tool("ssh-keygen", &["-q", "-H", "-f", &path]);
    assert!(lab.read("known_hosts").contains("|1|") && !lab.read("known_hosts").contains("10.20.4.1"));
    lab.good(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    check(&lab);

    // A host that the file lacks: nothing is packed.
    lab.write("known_hosts", &file.replace("worker-b1 ", "worker-b2 "));
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("a_host_that_known_hosts_does_not_have", refused.err);
    assert_eq!(lab.snapshot(), before);

    // Clones of one image.
    let shared = lab.read("key-of-on.pub");
    lab.write("known_hosts", &format!("on {shared}worker-b1 {shared}"));
    for hosts in [&["on", "worker-b1"][..], &["on"], &["worker-b1"]] {
        let refused = lab.run(&[&["bundle"], hosts, &["--known-hosts", "known_hosts"]].concat());
        assert_eq!(refused.status, 3, "{refused}");
        let known = KnownHosts::parse(&lab.read("known_hosts"));
        let error = encrypt(&lab, hosts, Recipients::Given { for_all_hosts: Vec::new(), known_hosts: Some(known) });
        let shared = PackageError::SharedHostKey { one: "on".to_owned(), other: "worker-b1".to_owned() };
        assert_eq!(error.err(), Some(shared));
    }

    // As a file of recipients it would encrypt every bundle to every host.
    let wrong = lab.run(&["bundle", "on", "--encrypt-to", "known_hosts"]);
    assert_eq!(wrong.status, 2, "{wrong}");
    assert!(wrong.err.contains("--known-hosts"), "{wrong}");
}

#[test]
fn invalid_recipients_are_refused_before_anything_is_written() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let good = age_key(&lab, "good");
    let mut wrong_age = good.clone();
    wrong_age.replace_range(10..11, if &good[10..11] == "q" { "p" } else { "q" });
    lab.write("empty", "# empty\n");
    lab.write("bad", &format!("{good}\n{wrong_age}\n"));
    let secret = lab.read("good").lines().last().expect("a secret").to_owned();
    let before = lab.snapshot();
    let mut said = Vec::new();
    for given in [
        "nobody",
        wrong_age.as_str(),
        "ssh-ed25519",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
        "ecdsa-sha2-nistp256 AAAA",
        "empty",
        "bad",
        secret.as_str(),
    ] {
        let refused = lab.run(&["bundle", "on", "--encrypt-to", &good, "--encrypt-to", given]);
        assert_eq!(refused.status, 2, "{given}: {refused}");
        assert!(!refused.err.contains(&secret), "a secret is never repeated");
        said.push(refused.err.replace(&wrong_age, "WRONG"));
    }
    insta::assert_snapshot!("texts_that_are_not_recipients", said.join("\n"));
    // A key of the right form whose bytes are no point of the curve: y = 2 has none (checked with the curve's equation).
    let off_curve = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let refused = lab.run(&["bundle", "on", "--encrypt-to", off_curve]);
    assert_eq!(refused.status, 2, "{refused}");
    insta::assert_snapshot!("a_key_that_is_not_on_its_curve", refused.err);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn an_invalid_recipient_is_an_error_of_the_cluster_file_with_path_and_line() {
    needs!("age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let good = age_key(&lab, "good");
    let wrong = if good.ends_with('x') { 'q' } else { 'x' };
    let secret = lab.read("good").lines().last().expect("a secret").to_owned();
    let mut shown = String::new();
    for (seal_to, path) in [
        (format!("{}{wrong}", &good[..61]), "nodes[1].sealTo (line 14)"),
        (format!("[{good}, \"ssh-ed25519 AAAA\"]"), "nodes[1].sealTo[1] (line 14)"),
        ("\"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAwD/\"".to_owned(), "nodes[1].sealTo (line 14)"),
        (secret.clone(), "nodes[1].sealTo (line 14)"),
        ("{age: x}".to_owned(), "nodes[1].sealTo (line 14)"),
        ("[]".to_owned(), "nodes[1].sealTo (line 14)"),
        ("[[x]]".to_owned(), "nodes[1].sealTo[0] (line 14)"),
    ] {
        lab.write("cluster.yaml", &cluster_with(&seal_to));
        let refused = lab.run(&["bundle", "--all"]);
        assert_eq!(refused.status, 2, "{seal_to}: {refused}");
        assert!(refused.err.contains(path), "{seal_to}: {refused}");
        assert!(!refused.err.contains(&secret[..30]), "a secret is never repeated");
        shown.push_str(&refused.err.replace(&format!("{}{wrong}", &good[..61]), "RECIPIENT"));
    }
    insta::assert_snapshot!("invalid_recipients_in_the_cluster_file", shown);
    // The same for a line from the middle of one; the error gives only its length.
    ssh_key(&lab, "key", "ed25519", "");
    let pem = lab.read("key");
    for line in pem.lines().filter(|line| line.len() == 70) {
        for seal_to in
            [format!("\"{line}\""), format!("[\"ssh-ed25519 {line}\"]"), format!("|\n    {line}\n    {line}")]
        {
            lab.write("cluster.yaml", &cluster_with(&seal_to));
            let refused = lab.run(&["bundle", "--all"]);
            assert!(refused.status == 2 && refused.err.contains("nodes[1].sealTo"), "{refused}");
            assert!(!refused.err.contains(&line[..30]), "{refused}");
        }
    }
}

#[test]
fn a_secret_key_where_its_file_belongs_is_not_repeated() {
    needs!("age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    age_key(&lab, "age");
    ssh_key(&lab, "key", "ed25519", "");
    lab.good(&["bundle", "on", "--encrypt-to", &age_key(&lab, "other")]);
    let before = lab.snapshot();
    let secret = lab.read("age").lines().last().expect("a secret").to_owned();
    let pem = lab.read("key");
    let lines: Vec<&str> = pem.lines().filter(|line| line.len() == 70).collect();
    assert!(lines.len() > 2);
    let mut said = BTreeSet::new();
    for given in [secret.as_str(), &secret.to_lowercase(), pem.as_str(), lines[0], lines[1], lines[2]] {
        for args in [
            &["open", "bundles/on.tar.gz.age", "-i", given][..],
            &["bundle", "on", "--sign-with", given],
            &["bundle", "on", "--encrypt-to", given],
        ] {
            let refused = lab.run(args);
            assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{refused}");
            said.insert(refused.err.clone());
            let parts = given.lines().filter(|line| !line.starts_with("-----")).map(|line| &line[..line.len().min(24)]);
            assert!(parts.into_iter().all(|part| !refused.err.contains(part)), "{refused}");
        }
    }
    let [said] = Vec::from_iter(said).try_into().expect("the same for all");
    insta::assert_snapshot!("a_secret_key_in_place_of_a_file", said);
    // Wherever else it is put, with what clap itself complains of, too.
    for args in [&["open", &secret][..], &["show", &secret], &["bundle", "on", "--no-such-flag", &pem], &[&secret]] {
        let refused = lab.run(args);
        assert_eq!(refused.status, 2, "{refused}");
        assert!(!refused.err.contains(&secret[20..40]) && !refused.err.contains(lines[0]), "{refused}");
    }
    assert_eq!(lab.snapshot(), before);
}
