# The stock: ElastiCache Serverless for Valkey. TLS always; the functions' user has a password and may touch the keys of
# spikes only. Serverless does not evict what carries no lifetime as long as it is below its storage limit, and it has
# no limit to set for `noeviction`: an alarm tells at 80 % (alarms.tf).

resource "aws_elasticache_user" "functions" {
  count = var.cache == null ? 1 : 0

  user_id       = local.names.cache_user
  user_name     = local.names.cache_user
  engine        = "valkey"
  access_string = "on ~spike:* resetchannels -@all +@read +@write +@scripting +@connection +time +info"

  authentication_mode {
    type      = "password"
    passwords = [random_password.stock[0].result]
  }
}

resource "aws_elasticache_user_group" "functions" {
  count = var.cache == null ? 1 : 0

  user_group_id = local.names.cache_user
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.functions[0].user_id]
}

resource "aws_elasticache_serverless_cache" "this" {
  count = var.cache == null ? 1 : 0

  name                     = local.names.cache
  description              = "Spike: the stock of running sales."
  engine                   = "valkey"
  major_engine_version     = "8"
  user_group_id            = aws_elasticache_user_group.functions[0].user_group_id
  subnet_ids               = local.subnet_ids
  security_group_ids       = [aws_security_group.cache[0].id]
  daily_snapshot_time      = var.cache_limits.snapshot_time_utc
  snapshot_retention_limit = var.cache_limits.snapshots_max

  cache_usage_limits {
    data_storage {
      maximum = var.cache_limits.storage_gb
      unit    = "GB"
    }
    ecpu_per_second {
      maximum = var.cache_limits.ecpu_per_sec_max
      minimum = var.cache_limits.ecpu_per_sec_min
    }
  }
}
