-- A database of version 1 after kill -9 of everything, as its dump: a command that has ended, a demo in the middle of a
-- turn with another one queued, a demo with three turns behind it, and a Claude session with one of every other fact.
-- Never changed. @STATE@ stands for the state directory.
BEGIN TRANSACTION;
CREATE TABLE facts (
             cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
             session TEXT NOT NULL,
             turn    INTEGER,
             at      INTEGER NOT NULL,
             body    TEXT NOT NULL
         ) STRICT;
INSERT INTO "facts" VALUES(1,'rammus-mid',NULL,1795160281807,'{"fact":"created","id":"rammus-mid","cli":"command","command":["/bin/sh","-c","echo hi; exit 3"],"path":"/","mode":"native","model":null,"description":"a command","group":null,"created_at":1795160281807,"creator":"user","depth":0,"conversation":null,"agent_version":null,"agent_home":null,"key":"ea190bea-0d43-4d65-8bfe-a8621ccaf7ca","dir":"@STATE@/sessions/rammus-mid"}');
INSERT INTO "facts" VALUES(2,'rammus-mid',NULL,1795160281813,'{"fact":"started","pid":4754,"start_time":526526}');
INSERT INTO "facts" VALUES(3,'rammus-mid',NULL,1795160281813,'{"fact":"ready"}');
INSERT INTO "facts" VALUES(4,'rammus-mid',NULL,1795160281819,'{"fact":"exited","code":3,"signal":null}');
INSERT INTO "facts" VALUES(5,'brand-mid',NULL,1795160281830,'{"fact":"created","id":"brand-mid","cli":"demo","command":["dsx"],"path":"/","mode":"ask","model":null,"description":"in the middle","group":null,"created_at":1795160281830,"creator":"user","depth":0,"conversation":null,"agent_version":null,"agent_home":null,"key":"9e03419e-6c0e-438d-96e0-fdc608082625","dir":"@STATE@/sessions/brand-mid"}');
INSERT INTO "facts" VALUES(6,'brand-mid',NULL,1795160281842,'{"fact":"started","pid":4757,"start_time":526529}');
INSERT INTO "facts" VALUES(7,'brand-mid',NULL,1795160281842,'{"fact":"ready"}');
INSERT INTO "facts" VALUES(8,'brand-mid',1,1795160281846,'{"fact":"queued","turn":1,"text":"slow 1000 never","key":"auto-33987173-f7f7-4ec7-b447-6e6bd5c53900","origin":"send","typed":null,"command":false}');
INSERT INTO "facts" VALUES(9,'brand-mid',1,1795160281846,'{"fact":"delivering","turn":1,"output":957}');
INSERT INTO "facts" VALUES(10,'brand-mid',1,1795160281847,'{"fact":"confirmed","turn":1,"evidence":"transcript"}');
INSERT INTO "facts" VALUES(11,'brand-mid',2,1795160281853,'{"fact":"queued","turn":2,"text":"say later","key":"auto-cffc16bf-c1e5-407a-86ef-da6c1a523ea1","origin":"send","typed":null,"command":false}');
INSERT INTO "facts" VALUES(12,'ryze-jungle',NULL,1795160294025,'{"fact":"created","id":"ryze-jungle","cli":"demo","command":["dsx"],"path":"/","mode":"native","model":null,"description":"three turns","group":"demos","created_at":1795160294025,"creator":"user","depth":0,"conversation":null,"agent_version":null,"agent_home":null,"key":"96b43197-ec91-42d4-862e-9b0979df47c9","dir":"@STATE@/sessions/ryze-jungle"}');
INSERT INTO "facts" VALUES(13,'ryze-jungle',NULL,1795160294035,'{"fact":"started","pid":6201,"start_time":527749}');
INSERT INTO "facts" VALUES(14,'ryze-jungle',NULL,1795160294036,'{"fact":"ready"}');
INSERT INTO "facts" VALUES(15,'ryze-jungle',1,1795160294041,'{"fact":"queued","turn":1,"text":"say alpha","key":"auto-96965efb-5ba3-4b3c-bd52-048be3b3157a","origin":"send","typed":null,"command":false}');
INSERT INTO "facts" VALUES(16,'ryze-jungle',1,1795160294041,'{"fact":"delivering","turn":1,"output":957}');
INSERT INTO "facts" VALUES(17,'ryze-jungle',1,1795160294042,'{"fact":"confirmed","turn":1,"evidence":"transcript"}');
INSERT INTO "facts" VALUES(18,'ryze-jungle',1,1795160294042,'{"fact":"ended","turn":1,"outcome":"ended","text":"alpha","error":null}');
INSERT INTO "facts" VALUES(19,'ryze-jungle',2,1795160294049,'{"fact":"queued","turn":2,"text":"fail broken","key":"auto-c6f6a4b6-7010-46d7-98df-9cd6b23d0774","origin":"send","typed":null,"command":false}');
INSERT INTO "facts" VALUES(20,'ryze-jungle',2,1795160294049,'{"fact":"delivering","turn":2,"output":1866}');
INSERT INTO "facts" VALUES(21,'ryze-jungle',2,1795160294051,'{"fact":"confirmed","turn":2,"evidence":"transcript"}');
INSERT INTO "facts" VALUES(22,'ryze-jungle',2,1795160294051,'{"fact":"ended","turn":2,"outcome":"failed","text":null,"error":"broken"}');
INSERT INTO "facts" VALUES(23,'ryze-jungle',3,1795160294057,'{"fact":"queued","turn":3,"text":"say gamma\nand more","key":"once","origin":"send","typed":null,"command":false}');
INSERT INTO "facts" VALUES(24,'ryze-jungle',3,1795160294057,'{"fact":"delivering","turn":3,"output":2832}');
INSERT INTO "facts" VALUES(25,'ryze-jungle',3,1795160294058,'{"fact":"confirmed","turn":3,"evidence":"transcript"}');
INSERT INTO "facts" VALUES(26,'ryze-jungle',3,1795160294058,'{"fact":"ended","turn":3,"outcome":"ended","text":"gamma\nand more","error":null}');
INSERT INTO "facts" VALUES(27,'zed-mid',NULL,1795160300000,'{"fact":"created","id":"zed-mid","cli":"claude","command":["/usr/bin/claude"],"path":"/","mode":"ask","model":"opus","description":null,"group":null,"created_at":1795160300000,"creator":"ryze-jungle","depth":1,"conversation":"2f0f9a52-9c3f-4b5e-8b1f-0c1f6a5f3f10","agent_version":"2.1.328","agent_home":"@STATE@/.claude","key":null,"dir":"@STATE@/sessions/zed-mid"}');
INSERT INTO "facts" VALUES(28,'zed-mid',NULL,1795160300001,'{"fact":"started","pid":4194300,"start_time":1}');
INSERT INTO "facts" VALUES(29,'zed-mid',NULL,1795160300002,'{"fact":"ready"}');
INSERT INTO "facts" VALUES(30,'zed-mid',NULL,1795160300003,'{"fact":"conversation","id":"2f0f9a52-9c3f-4b5e-8b1f-0c1f6a5f3f10","transcript":"@STATE@/.claude/t.jsonl"}');
INSERT INTO "facts" VALUES(31,'zed-mid',1,1795160300004,'{"fact":"queued","turn":1,"text":"run it","key":null,"origin":"typed","typed":null,"command":false}');
INSERT INTO "facts" VALUES(32,'zed-mid',1,1795160300005,'{"fact":"confirmed","turn":1,"evidence":"hook"}');
INSERT INTO "facts" VALUES(33,'zed-mid',NULL,1795160300006,'{"fact":"prompt_opened","id":"p1","session":"zed-mid","turn":1,"kind":"permission","tool":"Bash","text":"Bash","command":"touch x","options":[{"n":1,"label":"Yes"},{"n":2,"label":"No"}],"opened_at":1795160300006}');
INSERT INTO "facts" VALUES(34,'zed-mid',NULL,1795160300007,'{"fact":"prompt_closed","prompt":"p1","by":"osc7501"}');
INSERT INTO "facts" VALUES(35,'zed-mid',1,1795160300008,'{"fact":"ended","turn":1,"outcome":"interrupted","text":null,"error":null}');
INSERT INTO "facts" VALUES(36,'zed-mid',2,1795160300009,'{"fact":"queued","turn":2,"text":"a tab\there","key":"k2","origin":"send","typed":"Read @STATE@/messages/2","command":false}');
INSERT INTO "facts" VALUES(37,'zed-mid',2,1795160300010,'{"fact":"delivering","turn":2,"output":4711}');
INSERT INTO "facts" VALUES(38,'zed-mid',2,1795160300011,'{"fact":"withdrawn","turn":2}');
INSERT INTO "facts" VALUES(39,'zed-mid',2,1795160300012,'{"fact":"delivering","turn":2,"output":4800}');
INSERT INTO "facts" VALUES(40,'zed-mid',2,1795160300013,'{"fact":"ended","turn":2,"outcome":"lost","text":null,"error":"no evidence"}');
INSERT INTO "facts" VALUES(41,'zed-mid',NULL,1795160300014,'{"fact":"exited","code":null,"signal":9}');
CREATE TABLE turns (
             session  TEXT NOT NULL,
             turn     INTEGER NOT NULL,
             request  TEXT NOT NULL,
             outcome  TEXT,
             text     TEXT,
             ended_at INTEGER,
             PRIMARY KEY (session, turn)
         ) STRICT, WITHOUT ROWID;
INSERT INTO "turns" VALUES('brand-mid',1,'slow 1000 never',NULL,NULL,NULL);
INSERT INTO "turns" VALUES('brand-mid',2,'say later',NULL,NULL,NULL);
INSERT INTO "turns" VALUES('ryze-jungle',1,'say alpha','ended','alpha',1795160294042);
INSERT INTO "turns" VALUES('ryze-jungle',2,'fail broken','failed',NULL,1795160294051);
INSERT INTO "turns" VALUES('ryze-jungle',3,'say gamma
and more','ended','gamma
and more',1795160294058);
INSERT INTO "turns" VALUES('zed-mid',1,'run it','interrupted',NULL,1795160300008);
INSERT INTO "turns" VALUES('zed-mid',2,'a tab	here','lost',NULL,1795160300013);
CREATE INDEX facts_by_session ON facts (session, turn);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('facts',41);
PRAGMA user_version = 1;
COMMIT;
