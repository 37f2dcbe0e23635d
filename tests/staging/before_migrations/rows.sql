-- A run that ended and one that was killed while it loaded, as programs before the migrations wrote them.
COMMENT ON SCHEMA coa IS '89aa78e1e7ca9def';
INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('00DA00000000001AAA', '00DB00000000001AAA');
INSERT INTO coa.run (run_id, pair_id, dag_id, airflow_run_id, mode, params, state, stage, plan_hash, versions,
                     started_at, loaded_at, finished_at)
VALUES ('20260101T000000Z-aaaaaa', 1, 'coa_migrate', 'manual__1', 'full', '{"mapping": "/maps/m.yaml"}', 'blocked',
        'finished', 'abc',
        '{"coa": "0.1.0", "airflow": "3.3.0", "python": "3.11.9", "coa_source": "3.61", "mapping": "m.yaml",
          "mapping_sha256": "feed", "artifacts": "/artifacts/20260101T000000Z-aaaaaa", "headless": "t0ken",
          "stopped_state": "blocked"}',
        now() - interval '2 days', now() - interval '2 days', now() - interval '2 days'),
       ('20260102T000000Z-bbbbbb', 1, 'coa_migrate', 'manual__2', 'full', '{}', NULL, 'load_lanes', 'def',
        '{"coa": "0.1.0"}', now() - interval '1 hour', now() - interval '1 hour', NULL);
INSERT INTO coa.lease VALUES (1, '20260102T000000Z-bbbbbb', now() - interval '1 minute');
INSERT INTO coa.finding (run_id, code, grade, stage, message)
VALUES ('20260101T000000Z-aaaaaa', 'no_right', 'blocker', 'preflight', 'No right.');
INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin, inserted_run, step, proved_hash)
VALUES (1, 'CHANNEL_ORDERS__Service_Order__c', 'a0A1', 'a0B1', 'inserted', '20260101T000000Z-aaaaaa', 'done', 'h:1'),
       (1, 'CHANNEL_ORDERS__Service_Order__c', 'a0A2', NULL, 'none', NULL, 'sent', NULL);
INSERT INTO coa.job (pair_id, run_id, step, sobject, operation, rows_planned, state)
VALUES (1, '20260102T000000Z-bbbbbb', 'orders', 'CHANNEL_ORDERS__Service_Order__c', 'insert', 1, 'submitted');
INSERT INTO coa.difference (run_id, sobject, source_id, kind, origin)
VALUES ('20260101T000000Z-aaaaaa', 'CHANNEL_ORDERS__Service_Order__c', 'a0A1', 'field', 'source');
CREATE SCHEMA run_20260101t000000z_aaaaaa;
CREATE TABLE run_20260101t000000z_aaaaaa.rehearsal (
    sobject text NOT NULL, source_id text NOT NULL, field text NOT NULL, effect text NOT NULL, becomes text,
    wanted text, step text NOT NULL, PRIMARY KEY (sobject, source_id, field));
INSERT INTO run_20260101t000000z_aaaaaa.rehearsal VALUES ('o', 'a0A1', 'f', 'draft_reset', 'Draft', 'Received', 'statuses');
CREATE TABLE run_20260101t000000z_aaaaaa.holdback (
    sobject text, source_id text, reason text NOT NULL, PRIMARY KEY (sobject, source_id));
INSERT INTO run_20260101t000000z_aaaaaa.holdback VALUES ('o', 'a0A2', 'The record was changed in the source.');
CREATE SCHEMA run_20260102t000000z_bbbbbb;
