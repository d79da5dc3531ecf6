-- A database of version 2 in the middle of a turn, as its dump: a demo with a prompt that was answered, a command, and a
-- demo that is gone but for its events. Never changed. @STATE@ stands for the state directory.
BEGIN TRANSACTION;
CREATE TABLE events (
         cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
         session TEXT NOT NULL,
         line    TEXT NOT NULL,
         what    TEXT NOT NULL,
         prompt  TEXT,
         body    TEXT NOT NULL
     ) STRICT;
INSERT INTO "events" VALUES(1,'gwen-bot','user','created',NULL,'{"cursor":0,"at":1795171391830,"session":"gwen-bot","what":"created","turn":null,"outcome":null,"by":"user","text":"two turns","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(2,'gwen-bot','user','started',NULL,'{"cursor":0,"at":1795171391843,"session":"gwen-bot","what":"started","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(3,'gwen-bot','user','ready',NULL,'{"cursor":0,"at":1795171391844,"session":"gwen-bot","what":"ready","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(4,'brand-mid','user','created',NULL,'{"cursor":0,"at":1795171391866,"session":"brand-mid","what":"created","turn":null,"outcome":null,"by":"user","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(5,'brand-mid','user','started',NULL,'{"cursor":0,"at":1795171391870,"session":"brand-mid","what":"started","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(6,'brand-mid','user','ready',NULL,'{"cursor":0,"at":1795171391870,"session":"brand-mid","what":"ready","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(7,'illaoi-support','user','created',NULL,'{"cursor":0,"at":1795171391880,"session":"illaoi-support","what":"created","turn":null,"outcome":null,"by":"user","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(8,'illaoi-support','user','started',NULL,'{"cursor":0,"at":1795171391885,"session":"illaoi-support","what":"started","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(9,'gwen-bot','user','queued',NULL,'{"cursor":0,"at":1795171391908,"session":"gwen-bot","what":"queued","turn":1,"outcome":null,"by":"send","text":"say alpha","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(10,'gwen-bot','user','delivering',NULL,'{"cursor":0,"at":1795171391908,"session":"gwen-bot","what":"delivering","turn":1,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(11,'gwen-bot','user','confirmed',NULL,'{"cursor":0,"at":1795171391910,"session":"gwen-bot","what":"confirmed","turn":1,"outcome":null,"by":"transcript","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(12,'gwen-bot','user','ended',NULL,'{"cursor":0,"at":1795171391911,"session":"gwen-bot","what":"ended","turn":1,"outcome":"ended","by":null,"text":"alpha","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(13,'gwen-bot','user','queued',NULL,'{"cursor":0,"at":1795171391915,"session":"gwen-bot","what":"queued","turn":2,"outcome":null,"by":"send","text":"ask Which? | Red | Blue","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(14,'gwen-bot','user','delivering',NULL,'{"cursor":0,"at":1795171391915,"session":"gwen-bot","what":"delivering","turn":2,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(15,'gwen-bot','user','confirmed',NULL,'{"cursor":0,"at":1795171391916,"session":"gwen-bot","what":"confirmed","turn":2,"outcome":null,"by":"transcript","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(16,'gwen-bot','user','prompt','p1','{"cursor":0,"at":1795171391919,"session":"gwen-bot","what":"prompt","turn":2,"outcome":null,"by":null,"text":null,"prompt":{"id":"p1","session":"gwen-bot","turn":2,"kind":"question","tool":null,"text":"Which?","command":null,"options":[{"n":1,"label":"Red","description":null},{"n":2,"label":"Blue","description":null}],"opened_at":1795171391919,"diff":null,"questions":[]},"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(17,'gwen-bot','user','answered','p1','{"cursor":0,"at":1795171391954,"session":"gwen-bot","what":"answered","turn":2,"outcome":null,"by":"answered in the terminal","text":null,"prompt":{"id":"p1","session":"gwen-bot","turn":2,"kind":"question","tool":null,"text":"Which?","command":null,"options":[],"opened_at":1795171391919,"diff":null,"questions":[]},"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(18,'gwen-bot','user','ended',NULL,'{"cursor":0,"at":1795171391955,"session":"gwen-bot","what":"ended","turn":2,"outcome":"ended","by":null,"text":"You chose: Blue","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(19,'gwen-bot','user','queued',NULL,'{"cursor":0,"at":1795171392985,"session":"gwen-bot","what":"queued","turn":3,"outcome":null,"by":"send","text":"say last","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(20,'gwen-bot','user','delivering',NULL,'{"cursor":0,"at":1795171392985,"session":"gwen-bot","what":"delivering","turn":3,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(21,'gwen-bot','user','confirmed',NULL,'{"cursor":0,"at":1795171392987,"session":"gwen-bot","what":"confirmed","turn":3,"outcome":null,"by":"transcript","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(22,'gwen-bot','user','ended',NULL,'{"cursor":0,"at":1795171392988,"session":"gwen-bot","what":"ended","turn":3,"outcome":"ended","by":null,"text":"last","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(23,'illaoi-support','user','queued',NULL,'{"cursor":0,"at":1795171393008,"session":"illaoi-support","what":"queued","turn":1,"outcome":null,"by":"send","text":"echo from a command","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(24,'illaoi-support','user','delivering',NULL,'{"cursor":0,"at":1795171393008,"session":"illaoi-support","what":"delivering","turn":1,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(25,'illaoi-support','user','confirmed',NULL,'{"cursor":0,"at":1795171393008,"session":"illaoi-support","what":"confirmed","turn":1,"outcome":null,"by":"the PTY took it","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(26,'illaoi-support','user','ended',NULL,'{"cursor":0,"at":1795171393520,"session":"illaoi-support","what":"ended","turn":1,"outcome":"ended","by":null,"text":"from a command","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(27,'brand-mid','user','queued',NULL,'{"cursor":0,"at":1795171393530,"session":"brand-mid","what":"queued","turn":1,"outcome":null,"by":"send","text":"say gone","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(28,'brand-mid','user','delivering',NULL,'{"cursor":0,"at":1795171393530,"session":"brand-mid","what":"delivering","turn":1,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(29,'brand-mid','user','confirmed',NULL,'{"cursor":0,"at":1795171393540,"session":"brand-mid","what":"confirmed","turn":1,"outcome":null,"by":"transcript","text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(30,'brand-mid','user','ended',NULL,'{"cursor":0,"at":1795171393540,"session":"brand-mid","what":"ended","turn":1,"outcome":"ended","by":null,"text":"gone","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(31,'brand-mid','user','exited',NULL,'{"cursor":0,"at":1795171393560,"session":"brand-mid","what":"exited","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":143,"expired":0}');
INSERT INTO "events" VALUES(32,'brand-mid','user','removed',NULL,'{"cursor":0,"at":1795171393569,"session":"brand-mid","what":"removed","turn":null,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(33,'gwen-bot','user','queued',NULL,'{"cursor":0,"at":1795171393608,"session":"gwen-bot","what":"queued","turn":4,"outcome":null,"by":"send","text":"slow 1000 never","prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(34,'gwen-bot','user','delivering',NULL,'{"cursor":0,"at":1795171393608,"session":"gwen-bot","what":"delivering","turn":4,"outcome":null,"by":null,"text":null,"prompt":null,"exit_code":null,"expired":0}');
INSERT INTO "events" VALUES(35,'gwen-bot','user','confirmed',NULL,'{"cursor":0,"at":1795171393612,"session":"gwen-bot","what":"confirmed","turn":4,"outcome":null,"by":"transcript","text":null,"prompt":null,"exit_code":null,"expired":0}');
CREATE TABLE facts (
         cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
         session TEXT NOT NULL,
         turn    INTEGER,
         at      INTEGER NOT NULL,
         body    TEXT NOT NULL
     ) STRICT;
INSERT INTO "facts" VALUES(1,'gwen-bot',NULL,1795171391830,'{"fact":"created","id":"gwen-bot","cli":"demo","command":["dsx"],"path":"/tmp","mode":"native","model":null,"description":"two turns","group":"g","created_at":1795171391830,"creator":"user","depth":0,"conversation":null,"agent_version":null,"agent_home":null,"key":"fb6730c4-97f4-40e9-82a7-b52fe7898463","dir":"@STATE@/sessions/gwen-bot","terms":{"labels":[["part","a"]],"on_prompt":"ask","may_respond":false,"ttl_ms":null,"from":null}}');
INSERT INTO "facts" VALUES(2,'gwen-bot',NULL,1795171391843,'{"fact":"started","pid":3328,"start_time":1637529}');
INSERT INTO "facts" VALUES(3,'gwen-bot',-1,1795171391844,'{"fact":"reported","said":{"resting":"idle"}}');
INSERT INTO "facts" VALUES(4,'gwen-bot',NULL,1795171391844,'{"fact":"ready"}');
INSERT INTO "facts" VALUES(9,'illaoi-support',NULL,1795171391880,'{"fact":"created","id":"illaoi-support","cli":"command","command":["/usr/bin/bash","--norc"],"path":"/tmp","mode":"native","model":null,"description":null,"group":null,"created_at":1795171391880,"creator":"user","depth":0,"conversation":null,"agent_version":null,"agent_home":null,"key":"e092577f-c9c0-4929-931a-f2022e82b750","dir":"@STATE@/sessions/illaoi-support","terms":{"labels":[],"on_prompt":"ask","may_respond":false,"ttl_ms":null,"from":null}}');
INSERT INTO "facts" VALUES(10,'illaoi-support',NULL,1795171391885,'{"fact":"started","pid":3335,"start_time":1637534}');
INSERT INTO "facts" VALUES(11,'gwen-bot',1,1795171391908,'{"fact":"queued","turn":1,"text":"say alpha","key":"auto-6bc887f7-0a93-4ac0-8be9-bf3ba79a2795","origin":"send","typed":null,"command":false,"prompt":null,"behind":null,"as_of":0,"steer":null,"stops":null}');
INSERT INTO "facts" VALUES(12,'gwen-bot',1,1795171391908,'{"fact":"delivering","turn":1,"output":957}');
INSERT INTO "facts" VALUES(13,'gwen-bot',1,1795171391910,'{"fact":"confirmed","turn":1,"evidence":"transcript","prompt":null,"behind":null,"as_of":1795171391909}');
INSERT INTO "facts" VALUES(14,'gwen-bot',1,1795171391910,'{"fact":"told","turn":1,"how":{"stopped":{"text":"alpha","agents":0,"shells":0}},"as_of":1795171391909}');
INSERT INTO "facts" VALUES(15,'gwen-bot',-1,1795171391910,'{"fact":"reported","said":"working"}');
INSERT INTO "facts" VALUES(16,'gwen-bot',-1,1795171391911,'{"fact":"reported","said":{"resting":"done"}}');
INSERT INTO "facts" VALUES(17,'gwen-bot',1,1795171391911,'{"fact":"ended","turn":1,"outcome":"ended","text":"alpha","error":null,"shells":false}');
INSERT INTO "facts" VALUES(18,'gwen-bot',2,1795171391915,'{"fact":"queued","turn":2,"text":"ask Which? | Red | Blue","key":"auto-5a577bae-1c9b-4fa9-a03c-85bf2c26af4b","origin":"send","typed":null,"command":false,"prompt":null,"behind":null,"as_of":0,"steer":null,"stops":null}');
INSERT INTO "facts" VALUES(19,'gwen-bot',2,1795171391915,'{"fact":"delivering","turn":2,"output":1866}');
INSERT INTO "facts" VALUES(20,'gwen-bot',2,1795171391916,'{"fact":"confirmed","turn":2,"evidence":"transcript","prompt":null,"behind":null,"as_of":1795171391916}');
INSERT INTO "facts" VALUES(21,'gwen-bot',-1,1795171391919,'{"fact":"reported","said":"working"}');
INSERT INTO "facts" VALUES(22,'gwen-bot',-1,1795171391919,'{"fact":"reported","said":"blocked"}');
INSERT INTO "facts" VALUES(23,'gwen-bot',NULL,1795171391919,'{"fact":"prompt_opened","id":"p1","session":"gwen-bot","turn":2,"kind":"question","tool":null,"text":"Which?","command":null,"options":[{"n":1,"label":"Red","description":null},{"n":2,"label":"Blue","description":null}],"opened_at":1795171391919,"diff":null,"questions":[]}');
INSERT INTO "facts" VALUES(24,'gwen-bot',NULL,1795171391954,'{"fact":"prompt_closed","prompt":"p1","by":"answered in the terminal","answer":null,"as_of":1795171391954}');
INSERT INTO "facts" VALUES(25,'gwen-bot',-1,1795171391954,'{"fact":"reported","said":"working"}');
INSERT INTO "facts" VALUES(26,'gwen-bot',-1,1795171391955,'{"fact":"reported","said":{"resting":"done"}}');
INSERT INTO "facts" VALUES(27,'gwen-bot',2,1795171391955,'{"fact":"told","turn":2,"how":{"stopped":{"text":"You chose: Blue","agents":0,"shells":0}},"as_of":1795171391954}');
INSERT INTO "facts" VALUES(28,'gwen-bot',2,1795171391955,'{"fact":"ended","turn":2,"outcome":"ended","text":"You chose: Blue","error":null,"shells":false}');
INSERT INTO "facts" VALUES(29,'gwen-bot',3,1795171392985,'{"fact":"queued","turn":3,"text":"say last","key":"auto-d4a62d61-fc1b-40b1-a6ff-352be341c873","origin":"send","typed":null,"command":false,"prompt":null,"behind":null,"as_of":0,"steer":null,"stops":null}');
INSERT INTO "facts" VALUES(30,'gwen-bot',3,1795171392985,'{"fact":"delivering","turn":3,"output":3744}');
INSERT INTO "facts" VALUES(31,'gwen-bot',3,1795171392987,'{"fact":"confirmed","turn":3,"evidence":"transcript","prompt":null,"behind":null,"as_of":1795171392986}');
INSERT INTO "facts" VALUES(32,'gwen-bot',3,1795171392987,'{"fact":"told","turn":3,"how":{"stopped":{"text":"last","agents":0,"shells":0}},"as_of":1795171392986}');
INSERT INTO "facts" VALUES(33,'gwen-bot',-1,1795171392988,'{"fact":"reported","said":"working"}');
INSERT INTO "facts" VALUES(34,'gwen-bot',-1,1795171392988,'{"fact":"reported","said":{"resting":"done"}}');
INSERT INTO "facts" VALUES(35,'gwen-bot',3,1795171392988,'{"fact":"ended","turn":3,"outcome":"ended","text":"last","error":null,"shells":false}');
INSERT INTO "facts" VALUES(36,'illaoi-support',1,1795171393008,'{"fact":"queued","turn":1,"text":"echo from a command","key":"auto-c7127f39-25ec-4b22-9792-8f73d988bd70","origin":"send","typed":null,"command":false,"prompt":null,"behind":null,"as_of":0,"steer":null,"stops":null}');
INSERT INTO "facts" VALUES(37,'illaoi-support',1,1795171393008,'{"fact":"delivering","turn":1,"output":18}');
INSERT INTO "facts" VALUES(38,'illaoi-support',1,1795171393008,'{"fact":"confirmed","turn":1,"evidence":"the PTY took it","prompt":null,"behind":null,"as_of":0}');
INSERT INTO "facts" VALUES(39,'illaoi-support',1,1795171393520,'{"fact":"ended","turn":1,"outcome":"ended","text":"from a command","error":null,"shells":false}');
INSERT INTO "facts" VALUES(48,'gwen-bot',4,1795171393608,'{"fact":"queued","turn":4,"text":"slow 1000 never","key":"auto-b488b400-6769-489e-bc2b-9a34dfc85c5a","origin":"send","typed":null,"command":false,"prompt":null,"behind":null,"as_of":0,"steer":null,"stops":null}');
INSERT INTO "facts" VALUES(49,'gwen-bot',4,1795171393608,'{"fact":"delivering","turn":4,"output":4651}');
INSERT INTO "facts" VALUES(50,'gwen-bot',-1,1795171393612,'{"fact":"reported","said":"working"}');
INSERT INTO "facts" VALUES(51,'gwen-bot',4,1795171393612,'{"fact":"confirmed","turn":4,"evidence":"transcript","prompt":null,"behind":null,"as_of":1795171393612}');
CREATE TABLE turns (
         session  TEXT NOT NULL,
         turn     INTEGER NOT NULL,
         request  TEXT NOT NULL,
         outcome  TEXT,
         text     TEXT,
         ended_at INTEGER, asked_at INTEGER,
         PRIMARY KEY (session, turn)
     ) STRICT, WITHOUT ROWID;
INSERT INTO "turns" VALUES('gwen-bot',1,'say alpha','ended','alpha',1795171391911,1795171391908);
INSERT INTO "turns" VALUES('gwen-bot',2,'ask Which? | Red | Blue','ended','You chose: Blue',1795171391955,1795171391915);
INSERT INTO "turns" VALUES('gwen-bot',3,'say last','ended','last',1795171392988,1795171392985);
INSERT INTO "turns" VALUES('gwen-bot',4,'slow 1000 never',NULL,NULL,NULL,1795171393608);
INSERT INTO "turns" VALUES('illaoi-support',1,'echo from a command','ended','from a command',1795171393520,1795171393008);
CREATE INDEX facts_by_session ON facts (session, turn);
CREATE INDEX events_by_session ON events (session, what);
CREATE INDEX events_by_prompt ON events (session, prompt) WHERE prompt IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('facts',51);
INSERT INTO "sqlite_sequence" VALUES('events',35);
COMMIT;
PRAGMA user_version = 2;
