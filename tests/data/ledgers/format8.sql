-- A ledger of format 8: the schema of that format, with rows in every table, and their hash chain.
CREATE TABLE bundles (
    host       TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,                      -- of the bundle that was packed last
    content    BLOB NOT NULL                          -- SHA-256: what is in it, but for its generation
) WITHOUT ROWID;
INSERT INTO bundles VALUES('worker-1',1767225700,X'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73');
CREATE TABLE certificates (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- order of issue
    serial        TEXT NOT NULL,                     -- hexadecimal
    sha256        TEXT NOT NULL UNIQUE,              -- of the DER: Kubernetes's credential-id
    spki_sha256   TEXT NOT NULL,                     -- of the SubjectPublicKeyInfo
    profile       TEXT NOT NULL,                     -- apiserver, kubelet-client, … root
    host          TEXT,                              -- null where the cluster has one
    account       TEXT NOT NULL,                     -- the subject's common name
    not_before    TEXT NOT NULL,                     -- RFC 3339, UTC
    not_after     TEXT NOT NULL,
    issuer_sha256 TEXT NOT NULL,                     -- of the issuing root's DER
    issued_at     TEXT NOT NULL,
    issued_by     TEXT NOT NULL,                     -- user@machine
    der           BLOB NOT NULL,
    UNIQUE (issuer_sha256, serial)
);
INSERT INTO certificates VALUES(1,'55c36cee791da047a4d736de84507d52','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','227ba5f2c6c9109fe5c44a0696f393379607493a377f522ee27d9a7ae3227d89','cluster CA',NULL,'another-ca','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'30820b4a7b2e00322c45a750c5030f9bec32fc889f78b093f050f91c6a7633dbff00');
INSERT INTO certificates VALUES(2,'d194da90ae6aa538be0f5aa0e95588b1','3e5ef2fb2a4ade8b62dd840bd52f29352a151d11f39dfb63c848189dba5ac2ff','08f225fe08e94a5b1da2da4079fcd1a7647d375cc95624a6c6d65a6fc84b3243','kubelet-client','worker-1','system:node:worker-1','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'3082d376cc0f75505ae166a9665f1e1d2ecdc45606fe5939b9facc78dc71599e5c9b');
INSERT INTO certificates VALUES(3,'b1a9c62eac0f77d5d37afc00dbf5c625','7a90b429f83e3f8c605b686dfb1d7ee994245308e6c8ca8415300eb58465145b','3d3ee11c2fbf7f6a6b1e6aa16c382631ec5f1fbfc50ca3ba5a89d366d22eeaef','kubelet-server','worker-1','system:node:worker-1','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'30828c9caeec602d99e06bb4fc718bf0def6afdfab84e2307d85edd0d7f0ad686405');
INSERT INTO certificates VALUES(4,'65bc66e39ceb1b0b9de343d72e7bc7c3','6642d2b2b34f96e92bfad7266cddfaf386285ef7044692847da5c4d16bed3141','a1788ce1d89fe8b456e26d4c37fd635633c259adc1ff7fffae353a5c73807b19','admin',NULL,'alice','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'3082e7435261982697a942d173138b3fd2c0b9559806c4b823923216bef353e79be0');
INSERT INTO certificates VALUES(5,'6013940165681a95e4271316a59f8460','dc3e12cad921a691c6c354e1a3956086282c1f63b47a880f4232cc808d6e220d','043ac12c5a3bdf70fc7c41a0070e95a952f46d7701ac411f40894f956b5b6294','root',NULL,'prod root','2026-11-29T20:56:01Z','2036-11-26T21:01:01Z','dc3e12cad921a691c6c354e1a3956086282c1f63b47a880f4232cc808d6e220d','2026-11-29T21:01:01Z','admin@laptop',X'3082018a3082012fa00302010202106013940165681a95e4271316a59f8460300a06082a8648ce3d0403023023310d300b060355040a0c0470726f643112301006035504030c0970726f6420726f6f74301e170d3236313132393230353630315a170d3336313132363231303130315a3023310d300b060355040a0c0470726f643112301006035504030c0970726f6420726f6f743059301306072a8648ce3d020106082a8648ce3d0301070342000421c18299dd6df9ca2ac06c6ca10ce21c97c60957325b127c9bab81bf08ed4a15fc9d22f9e2d23e2ce679f6ddecc9b03f3c28940c64295da47a760fb0b7cbf712a3453043300e0603551d0f0101ff040403020106301d0603551d0e04160414043ac12c5a3bdf70fc7c41a0070e95a952f46d7730120603551d130101ff040830060101ff020100300a06082a8648ce3d04030203490030460221009308f2d51bb986098bcdd5b5e9f6143a2227a60edbefc3ff05842f598e54db85022100c6470838a46e9ea904e36429fb09ae503f69ffc457e85e6dc8438c5eeed63d20');
INSERT INTO certificates VALUES(6,'9a53d2108d9480aa2771bc2db9ea1a31','c7884fd53205ffc18bff6da500ebb3a8e8e1483a57ff73bce86613d819918738','67ee4665f567aa504ec174a5323492f32d30f40a70f1398286a768da6e1b8567','etcd root',NULL,'prod etcd root','2026-11-29T20:56:01Z','2036-11-26T21:01:01Z','c7884fd53205ffc18bff6da500ebb3a8e8e1483a57ff73bce86613d819918738','2026-11-29T21:01:01Z','admin@laptop',X'308201943082013aa0030201020211009a53d2108d9480aa2771bc2db9ea1a31300a06082a8648ce3d0403023028310d300b060355040a0c0470726f643117301506035504030c0e70726f64206574636420726f6f74301e170d3236313132393230353630315a170d3336313132363231303130315a3028310d300b060355040a0c0470726f643117301506035504030c0e70726f64206574636420726f6f743059301306072a8648ce3d020106082a8648ce3d03010703420004db00293ed5a5b28a31e2c1ef496fcf3cb3b3e92fde2a361abc943cde6eb9388cdebe7f3973eeee275611bfba2dcd30434c6cb5af1b7fe59c38179854b2cab079a3453043300e0603551d0f0101ff040403020106301d0603551d0e0416041467ee4665f567aa504ec174a5323492f32d30f40a30120603551d130101ff040830060101ff020100300a06082a8648ce3d0403020348003045022100c765546fa7538149853173045b93f2e173ebe277ce1a1cfcbc10e20b21c38b4a022023160f9b1d4a1193045c7b3b71da849a40ef3da8b908bc6a7c59b21d77d53d03');
INSERT INTO certificates VALUES(7,'92c816cf2f11ae59dbd2854d3ad29ecb','37c2fd651a7cb8438acf1a40e2d0daf0b3e3b5135eff0cfb3a58d9ee4cc97ae9','634c3acddd49bfe1de1631f34f8c7be13b35e44833bed1cdc566ae50f70b7dc0','front-proxy root',NULL,'prod front-proxy root','2026-11-29T20:56:01Z','2036-11-26T21:01:01Z','37c2fd651a7cb8438acf1a40e2d0daf0b3e3b5135eff0cfb3a58d9ee4cc97ae9','2026-11-29T21:01:01Z','admin@laptop',X'308201a330820148a00302010202110092c816cf2f11ae59dbd2854d3ad29ecb300a06082a8648ce3d040302302f310d300b060355040a0c0470726f64311e301c06035504030c1570726f642066726f6e742d70726f787920726f6f74301e170d3236313132393230353630315a170d3336313132363231303130315a302f310d300b060355040a0c0470726f64311e301c06035504030c1570726f642066726f6e742d70726f787920726f6f743059301306072a8648ce3d020106082a8648ce3d030107034200046ba016756261541a89c60ddaf25becbbde00aff5c40cf1b6eee6d9f12ebefe6935f9573cc1badbb38ae5f210d99e4b2428952d2428fbe17735d9bd0d81ebc7dfa3453043300e0603551d0f0101ff040403020106301d0603551d0e04160414634c3acddd49bfe1de1631f34f8c7be13b35e44830120603551d130101ff040830060101ff020100300a06082a8648ce3d0403020349003046022100c9f10bf76be5338f6763ae1b6d0a7cf6730d254290dd7544946ead42fc0441b4022100ba44061b8634b3fb836ab18f93e48ec14c63412480d4ab7ac2a03bf812827df2');
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,                           -- RFC 3339, UTC
    by      TEXT NOT NULL,                           -- user@machine
    kind    TEXT NOT NULL,                           -- init-ca, bundle, …
    subject TEXT NOT NULL,                           -- a host, a root
    detail  TEXT NOT NULL
);
INSERT INTO events VALUES(1,'2026-01-01T00:00:00Z','admin@laptop','init-ca','roots','3 roots created');
INSERT INTO events VALUES(2,'2026-01-01T00:10:00Z','admin@laptop','forget-key','worker-1','3e5ef2fb2a4ade8b62dd840bd52f29352a151d11f39dfb63c848189dba5ac2ff');
INSERT INTO events VALUES(3,'2026-11-29T21:01:24Z','admin@vm','token','node-1','j511xn1fmn');
CREATE TABLE generation (
    one    INTEGER PRIMARY KEY CHECK (one = 1),       -- there is one at most
    number INTEGER NOT NULL                           -- the last that was given to bundles
);
INSERT INTO generation VALUES(1,1767225700);
CREATE TABLE images (
    host   TEXT PRIMARY KEY,
    images TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO images VALUES('master-1','v1.36.2 from registry.k8s.io');
CREATE TABLE revocation_lists (
    issuer_sha256 TEXT NOT NULL,                     -- of the root's DER
    number        INTEGER NOT NULL,                  -- grows with every list of that root
    this_update   TEXT NOT NULL,                     -- RFC 3339, UTC
    next_update   TEXT NOT NULL,
    PRIMARY KEY (issuer_sha256, number)
);
INSERT INTO revocation_lists VALUES('cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223',1767225600,'2026-02-01T00:00:00Z','2026-05-01T00:00:00Z');
CREATE TABLE revocations (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of revocation
    sha256     TEXT NOT NULL UNIQUE REFERENCES certificates (sha256),
    reason     TEXT NOT NULL,                        -- RFC 5280's name: keyCompromise, superseded, …
    revoked_at TEXT NOT NULL,                        -- RFC 3339, UTC
    revoked_by TEXT NOT NULL                         -- user@machine
);
INSERT INTO revocations VALUES(1,'7a90b429f83e3f8c605b686dfb1d7ee994245308e6c8ca8415300eb58465145b','keyCompromise','2026-02-01T00:00:00Z','admin@laptop');
CREATE TABLE sealed (
    host    TEXT PRIMARY KEY,
    made_of BLOB NOT NULL,
    file    BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO sealed VALUES('worker-1',X'60aaca356cb99d2d7abf17100abbb3ca297096c96d5cb84530ad030878050750',X'3b9c358f36f0a31b6ad3e14f309c7cf198ac9246e8316f9ce543d5b19ac02b80');
CREATE TABLE sequence (
    one    INTEGER PRIMARY KEY CHECK (one = 1),       -- there is one at most
    number INTEGER NOT NULL                           -- grows with every revocation; rendered files carry it
);
INSERT INTO sequence VALUES(1,2);
CREATE TABLE units (
    host TEXT PRIMARY KEY
) WITHOUT ROWID;
INSERT INTO units VALUES('worker-1');
CREATE TABLE unrecorded_revocations (   -- of certificates that `certificates` does not have
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256        TEXT UNIQUE,                        -- of the DER, where it is known
    issuer_sha256 TEXT,                               -- of the root's DER, where it is known
    serial        TEXT,                               -- hexadecimal, where it is known
    reason        TEXT NOT NULL,                      -- RFC 5280's name
    revoked_at    TEXT NOT NULL,                      -- RFC 3339, UTC
    revoked_by    TEXT NOT NULL,                      -- user@machine
    UNIQUE (issuer_sha256, serial)
);
INSERT INTO unrecorded_revocations VALUES(1,'76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9',NULL,NULL,'superseded','2026-03-01T00:00:00Z','admin@laptop');
CREATE TABLE verification_cache (
    folder     TEXT PRIMARY KEY,                      -- nodes/HOST, masters/NAME, verifier
    digest     BLOB NOT NULL,                         -- SHA-256: the expected certificates and the files' metadata
    not_before INTEGER NOT NULL,                      -- all of its certificates are valid from here, in Unix seconds
    not_after  INTEGER NOT NULL                       -- the first of them expires here
) WITHOUT ROWID;
INSERT INTO verification_cache VALUES('nodes/worker-1',X'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',1767225600,1798761600);
CREATE TABLE chain (
    seq     INTEGER PRIMARY KEY,                      -- order of the links
    source  TEXT NOT NULL,                            -- the table of the rows; resolved: unrecorded revocations that were removed
    entries BLOB NOT NULL,                            -- for each row: seq (8 bytes, big-endian), SHA-256 of its content
    hash    BLOB NOT NULL                             -- SHA-256 over the last link's hash, source and entries
);
INSERT INTO chain VALUES(1,'certificates',X'0000000000000001e4e6d536895ec5cdf0143bead4f413449010e2a35db76dd863f764162015d09900000000000000026f39774d672f33d63cba084f30d226ecba14104249df176dbac29ad8e88dd0a60000000000000003a36c1f703b903c5a39d14b8a31c67792d2496841e2a21864e6d3c6e5d8cb1e0b00000000000000046d345ad339663d5e08d2120d52ddf6f1a4284b5e80c414e8ce4cc84a10dc569d0000000000000005ef39618ac750d930a7793567de4f28c4ed667212ab01227d4528c9b6989cf4e5000000000000000683bc733c96c04e27a2304d0d1a94fc256f79f26ae53585f6b9facd50d71812d00000000000000007c28995fa754e42362386c8e42f63b39bfa3217b06dd93fea1510c532bee41ff6',X'b7b934985cca05f6cc5a364a601903166c6fc08c3eff164a04f96ea0767f6219');
INSERT INTO chain VALUES(2,'events',X'000000000000000116228146e548f078f0fede4d22ddda9e62b2513b737fc41ceb87c7b28cf97afa0000000000000002f97c6da4896915839bd2bb41ccf2a11768c2ce469be189c6eab55a30cd0b6c66',X'4b61d454b3c400b193ac981938c4cc3fe6c66fa4b992c52faccfb0e7c5cbc8af');
INSERT INTO chain VALUES(3,'revocations',X'00000000000000017567536dcc6831cbfc9d4de83a72893bcaa88b86c124cb15525d450608008af0',X'09ca3a63283bfb249d965b24515484a327b1ca8ac29b4470eb28d3d00119489f');
INSERT INTO chain VALUES(4,'unrecorded_revocations',X'000000000000000118996dbb03193497b2ea71dcf8768426bb9a59ae72018d114c2e6acc762c3c82',X'2de77cad121bec08ee7dc875a0caa675406981790ff934c2ec005a4689f6d681');
INSERT INTO chain VALUES(5,'events',X'000000000000000302697284a25821e8c7190021c24e49a250dfedb48731fc8f110d390b48aa7f19',X'ce99a0bbe6ce1874630998d44b50676a42c355bec2ec2f23afa80df4002f9e22');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('certificates',7);
INSERT INTO sqlite_sequence VALUES('events',3);
INSERT INTO sqlite_sequence VALUES('revocations',1);
INSERT INTO sqlite_sequence VALUES('unrecorded_revocations',1);
CREATE INDEX certificates_by_holder ON certificates (profile, host, seq);
CREATE INDEX certificates_by_serial ON certificates (serial);
CREATE INDEX certificates_by_host ON certificates (host);
CREATE INDEX certificates_by_expiry ON certificates (not_after);
CREATE INDEX certificates_by_account ON certificates (profile, account);
CREATE INDEX events_by_kind ON events (kind);
PRAGMA user_version=8;
