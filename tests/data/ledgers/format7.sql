-- A ledger of format 7: the schema of that format, with rows in every table.
CREATE TABLE bundles (
    host       TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,                      -- of the bundle that was packed last
    content    BLOB NOT NULL                          -- SHA-256: what is in it, but for its generation
) WITHOUT ROWID;
INSERT INTO "bundles" VALUES('worker-1',1767225700,X'ED7002B439E9AC845F22357D822BAC1444730FBDB6016D3EC9432297B9EC9F73');
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
INSERT INTO "certificates" VALUES(1,'55c36cee791da047a4d736de84507d52','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','227ba5f2c6c9109fe5c44a0696f393379607493a377f522ee27d9a7ae3227d89','cluster CA',NULL,'another-ca','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'30820B4A7B2E00322C45A750C5030F9BEC32FC889F78B093F050F91C6A7633DBFF00');
INSERT INTO "certificates" VALUES(2,'d194da90ae6aa538be0f5aa0e95588b1','3e5ef2fb2a4ade8b62dd840bd52f29352a151d11f39dfb63c848189dba5ac2ff','08f225fe08e94a5b1da2da4079fcd1a7647d375cc95624a6c6d65a6fc84b3243','kubelet-client','worker-1','system:node:worker-1','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'3082D376CC0F75505AE166A9665F1E1D2ECDC45606FE5939B9FACC78DC71599E5C9B');
INSERT INTO "certificates" VALUES(3,'b1a9c62eac0f77d5d37afc00dbf5c625','7a90b429f83e3f8c605b686dfb1d7ee994245308e6c8ca8415300eb58465145b','3d3ee11c2fbf7f6a6b1e6aa16c382631ec5f1fbfc50ca3ba5a89d366d22eeaef','kubelet-server','worker-1','system:node:worker-1','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'30828C9CAEEC602D99E06BB4FC718BF0DEF6AFDFAB84E2307D85EDD0D7F0AD686405');
INSERT INTO "certificates" VALUES(4,'65bc66e39ceb1b0b9de343d72e7bc7c3','6642d2b2b34f96e92bfad7266cddfaf386285ef7044692847da5c4d16bed3141','a1788ce1d89fe8b456e26d4c37fd635633c259adc1ff7fffae353a5c73807b19','admin',NULL,'alice','2026-01-01T00:00:00Z','2027-01-01T00:00:00Z','cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223','2026-01-01T00:05:00Z','admin@laptop',X'3082E7435261982697A942D173138B3FD2C0B9559806C4B823923216BEF353E79BE0');
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,                           -- RFC 3339, UTC
    by      TEXT NOT NULL,                           -- user@machine
    kind    TEXT NOT NULL,                           -- init-ca, bundle, …
    subject TEXT NOT NULL,                           -- a host, a root
    detail  TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,'2026-01-01T00:00:00Z','admin@laptop','init-ca','roots','3 roots created');
INSERT INTO "events" VALUES(2,'2026-01-01T00:10:00Z','admin@laptop','forget-key','worker-1','3e5ef2fb2a4ade8b62dd840bd52f29352a151d11f39dfb63c848189dba5ac2ff');
CREATE TABLE generation (
    one    INTEGER PRIMARY KEY CHECK (one = 1),       -- there is one at most
    number INTEGER NOT NULL                           -- the last that was given to bundles
);
INSERT INTO "generation" VALUES(1,1767225700);
CREATE TABLE images (
    host   TEXT PRIMARY KEY,
    images TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "images" VALUES('master-1','v1.36.2 from registry.k8s.io');
CREATE TABLE revocation_lists (
    issuer_sha256 TEXT NOT NULL,                     -- of the root's DER
    number        INTEGER NOT NULL,                  -- grows with every list of that root
    this_update   TEXT NOT NULL,                     -- RFC 3339, UTC
    next_update   TEXT NOT NULL,
    PRIMARY KEY (issuer_sha256, number)
);
INSERT INTO "revocation_lists" VALUES('cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223',1767225600,'2026-02-01T00:00:00Z','2026-05-01T00:00:00Z');
CREATE TABLE revocations (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of revocation
    sha256     TEXT NOT NULL UNIQUE REFERENCES certificates (sha256),
    reason     TEXT NOT NULL,                        -- RFC 5280's name: keyCompromise, superseded, …
    revoked_at TEXT NOT NULL,                        -- RFC 3339, UTC
    revoked_by TEXT NOT NULL                         -- user@machine
);
INSERT INTO "revocations" VALUES(1,'7a90b429f83e3f8c605b686dfb1d7ee994245308e6c8ca8415300eb58465145b','keyCompromise','2026-02-01T00:00:00Z','admin@laptop');
CREATE TABLE sealed (
    host    TEXT PRIMARY KEY,
    made_of BLOB NOT NULL,
    file    BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO "sealed" VALUES('worker-1',X'60AACA356CB99D2D7ABF17100ABBB3CA297096C96D5CB84530AD030878050750',X'3B9C358F36F0A31B6AD3E14F309C7CF198AC9246E8316F9CE543D5B19AC02B80');
CREATE TABLE sequence (
    one    INTEGER PRIMARY KEY CHECK (one = 1),       -- there is one at most
    number INTEGER NOT NULL                           -- grows with every revocation; rendered files carry it
);
INSERT INTO "sequence" VALUES(1,2);
CREATE TABLE units (
    host TEXT PRIMARY KEY
) WITHOUT ROWID;
INSERT INTO "units" VALUES('worker-1');
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
INSERT INTO "unrecorded_revocations" VALUES(1,'76f75e6129fe30135bd44d80ab7cc46fdba81907758dc808f3e2517beef2b1e9',NULL,NULL,'superseded','2026-03-01T00:00:00Z','admin@laptop');
CREATE TABLE verification_cache (
    folder     TEXT PRIMARY KEY,                      -- nodes/HOST, masters/NAME, verifier
    digest     BLOB NOT NULL,                         -- SHA-256: the expected certificates and the files' metadata
    not_before INTEGER NOT NULL,                      -- all of its certificates are valid from here, in Unix seconds
    not_after  INTEGER NOT NULL                       -- the first of them expires here
) WITHOUT ROWID;
INSERT INTO "verification_cache" VALUES('nodes/worker-1',X'00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF',1767225600,1798761600);
CREATE INDEX certificates_by_holder ON certificates (profile, host, seq);
CREATE INDEX certificates_by_serial ON certificates (serial);
CREATE INDEX certificates_by_host ON certificates (host);
CREATE INDEX certificates_by_expiry ON certificates (not_after);
CREATE INDEX certificates_by_account ON certificates (profile, account);
CREATE INDEX events_by_kind ON events (kind);
PRAGMA user_version = 7;
