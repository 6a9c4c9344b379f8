-- Rows of release 0.1.0 in every table: a study delivered, one of two revisions, one purged.
INSERT INTO groundglass_form VALUES (1);
INSERT INTO jobs VALUES (1, '1.2', 1, 'delivered', 'voted', 0, 'CT1', 'Thorax', 2, 10.5, 11.25, 20, 0, 2, 0, 'w1', 0, 'verdict', 'jobs/x', false);
INSERT INTO jobs VALUES (2, '1.3', 1, 'failed', 'it broke', 50, 'CT2', '', 1, 12, 12, 30, 0, 3, 3, 'w2', 0, '', '', true);
INSERT INTO jobs VALUES (5, '1.2', 2, 'received', 'instances came after the analysis began', 0, 'CT1', 'Thorax', 1, 40, 41, 40, 0, 0, 0, '', 0, '', '', false);
INSERT INTO instances VALUES ('1.2', '1.2.1', 'aa', '1.2.840.10008.5.1.4.1.1.2', 1, 'studies/a/1.dcm', 3000000000, 'CT1', 10.5);
INSERT INTO instances VALUES ('1.2', '1.2.2', 'bb', '1.2.840.10008.5.1.4.1.1.2', 1, 'studies/a/2.dcm', 1, 'CT1', 11.25);
INSERT INTO instances VALUES ('1.2', '1.2.3', 'cc', '1.2.840.10008.5.1.4.1.1.2', 2, 'studies/a/3.dcm', 1, 'CT1', 41);
INSERT INTO deliveries VALUES (1, 'pacs', 'sr.dcm', '1.2.840.10008.5.1.4.1.1.88.34', '1.2.9', 'confirmed', '0x0000', 19);
INSERT INTO audit VALUES (1, 1, '1.2', 1, 10.5, '', 'received', 0, '', 'first instance');
INSERT INTO audit VALUES (2, 1, '1.2', 1, 20, 'delivering', 'delivered', 2, 'w1', 'voted');
INSERT INTO audit VALUES (4, 5, '1.2', 2, 40, '', 'received', 0, '', 'instances came after the analysis began');
INSERT INTO audit VALUES (3, 2, '1.3', 1, 30, 'analysing', 'failed', 3, 'w2', 'it broke');
