-- The tables as release 0.1.0 made them; never changed.
CREATE TABLE audit (
    id INTEGER NOT NULL,
    job_id INTEGER NOT NULL,
    study_instance_uid VARCHAR(64) NOT NULL,
    revision INTEGER NOT NULL,
    at DOUBLE NOT NULL,
    "before" VARCHAR(16) NOT NULL,
    "after" VARCHAR(16) NOT NULL,
    attempt INTEGER NOT NULL,
    worker VARCHAR(128) NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX audit_by_job ON audit (job_id);
CREATE TABLE groundglass_form (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE instances (
    study_instance_uid VARCHAR(64) NOT NULL,
    sop_instance_uid VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    sop_class_uid VARCHAR(64) NOT NULL,
    revision INTEGER NOT NULL,
    file TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    source_ae VARCHAR(16) NOT NULL,
    arrived_at DOUBLE NOT NULL,
    PRIMARY KEY (study_instance_uid, sop_instance_uid, sha256)
);
CREATE INDEX instances_by_uid ON instances (sop_instance_uid);
CREATE TABLE jobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    study_instance_uid VARCHAR(64) NOT NULL,
    revision INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    priority INTEGER NOT NULL,
    source_ae VARCHAR(16) NOT NULL,
    study_description VARCHAR(64) NOT NULL,
    instances INTEGER NOT NULL,
    received_at DOUBLE NOT NULL,
    arrived_at DOUBLE NOT NULL,
    changed_at DOUBLE NOT NULL,
    not_before DOUBLE NOT NULL,
    attempt INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    worker VARCHAR(128) NOT NULL,
    lease_until DOUBLE NOT NULL,
    outcome VARCHAR(32) NOT NULL,
    report TEXT NOT NULL,
    files_purged BOOLEAN NOT NULL,
    CONSTRAINT one_job_a_revision UNIQUE (study_instance_uid, revision)
);
CREATE INDEX jobs_by_urgency ON jobs (state, priority, arrived_at);
CREATE TABLE deliveries (
    job_id INTEGER NOT NULL,
    destination VARCHAR(64) NOT NULL,
    file VARCHAR(255) NOT NULL,
    sop_class_uid VARCHAR(64) NOT NULL,
    sop_instance_uid VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    detail TEXT NOT NULL,
    changed_at DOUBLE NOT NULL,
    PRIMARY KEY (job_id, destination, file),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
