-- The first tables. Times are milliseconds since 1970 (UTC); ids are the sixteen bytes of a UUID.
-- What is compared is VARBINARY or BINARY, so that no collation and no padding makes two texts one.
-- Each statement can be repeated: what a migration that was cut off has done, the next one finds.

CREATE TABLE IF NOT EXISTS users (
  id BINARY(16) NOT NULL,
  username VARBINARY(64) NOT NULL,
  password_hash TEXT NULL,
  credentials_version BIGINT UNSIGNED NOT NULL,
  display_name TEXT NULL,
  attributes MEDIUMTEXT NOT NULL COMMENT 'JSON',
  roles TEXT NOT NULL COMMENT 'JSON',
  version BIGINT UNSIGNED NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY username (username)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS session_tokens (
  token_hash VARBINARY(128) NOT NULL,
  family VARBINARY(128) NOT NULL,
  user_id BINARY(16) NOT NULL,
  credentials_version BIGINT UNSIGNED NOT NULL,
  expires_at BIGINT NOT NULL,
  spent_by VARBINARY(16) NOT NULL DEFAULT '' COMMENT 'the call that rotated it; empty while it can be spent',
  PRIMARY KEY (token_hash),
  KEY expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS session_families (
  family VARBINARY(128) NOT NULL,
  expires_at BIGINT NOT NULL COMMENT 'of its last token',
  revoked_by VARBINARY(16) NOT NULL DEFAULT '' COMMENT 'the call that revoked it; empty while it is good',
  PRIMARY KEY (family),
  KEY expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS login_attempts (
  username VARBINARY(64) NOT NULL,
  failures INT UNSIGNED NOT NULL,
  last_failed_at BIGINT NOT NULL,
  PRIMARY KEY (username),
  KEY expiry (last_failed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS spikes (
  id BINARY(16) NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  settings MEDIUMTEXT NOT NULL COMMENT 'JSON, as in the API',
  stock INT UNSIGNED NOT NULL COMMENT 'as in the settings',
  ends_at BIGINT NOT NULL COMMENT 'as in the settings',
  paused BOOLEAN NOT NULL,
  top INT UNSIGNED NOT NULL,
  retired INT UNSIGNED NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL,
  closed BOOLEAN NOT NULL,
  shelved BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  KEY shelf (shelved, ends_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
  id BINARY(16) NOT NULL,
  spike_id BINARY(16) NOT NULL,
  user_id BINARY(16) NOT NULL,
  quantity INT UNSIGNED NOT NULL,
  units TEXT NOT NULL COMMENT 'as in events: 1,2,3',
  state VARBINARY(16) NOT NULL,
  reason VARBINARY(16) NULL,
  total_minor BIGINT UNSIGNED NOT NULL,
  currency VARBINARY(3) NOT NULL,
  placed_at BIGINT NOT NULL,
  pay_by BIGINT NOT NULL,
  ended_at BIGINT NULL,
  payment TEXT NULL COMMENT 'JSON',
  refund TEXT NULL COMMENT 'JSON',
  refunded_at BIGINT NULL COMMENT 'as in the refund',
  released BOOLEAN NOT NULL,
  due_at BIGINT NULL COMMENT 'when the sweeper has to look; NULL when it need not',
  written_by BINARY(16) NOT NULL COMMENT 'the call that wrote it',
  settled_by VARBINARY(16) NOT NULL DEFAULT '' COMMENT 'the call that made it paid, cancelled or expired',
  PRIMARY KEY (id),
  KEY by_user (user_id, id),
  KEY by_user_and_spike (user_id, spike_id, id),
  KEY due (due_at, id),
  KEY refunds (refunded_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

-- One row for each unit that is not free and for each buyer's place; what is absent is free.
CREATE TABLE IF NOT EXISTS claims (
  spike_id BINARY(16) NOT NULL,
  kind TINYINT UNSIGNED NOT NULL COMMENT '1: the place of a buyer, 2: a unit',
  item VARBINARY(16) NOT NULL COMMENT 'the user; or the number of the unit, four bytes, the highest first',
  order_id BINARY(16) NOT NULL COMMENT 'the order that holds it; of a retired unit the call that retired it',
  user_id VARBINARY(16) NOT NULL COMMENT 'whose order it is; empty where the house holds it',
  PRIMARY KEY (spike_id, kind, item)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dead_letters (
  id VARBINARY(1024) NOT NULL,
  body MEDIUMTEXT NOT NULL,
  reason MEDIUMTEXT NOT NULL,
  received_at BIGINT NOT NULL,
  came_at BIGINT NOT NULL COMMENT 'when it last arrived',
  redriven_at BIGINT NULL,
  PRIMARY KEY (id),
  KEY shelf (received_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
