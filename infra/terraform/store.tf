# The durable store: the tables of shared/store/src/dynamodb/tables.rs. `cargo xtask check` compares the two.
#
# On demand, and nothing in them is hot: no item and no index partition is shared by two orders.

locals {
  tables = {
    users = {
      attributes = { id = "S", shard = "N" }
      indexes    = { directory = { partition = "shard", sort = "id", projection = "ALL" } }
      ttl        = null
    }
    sessions = {
      attributes = { id = "S" }
      indexes    = {}
      ttl        = "ttl"
    }
    spikes = {
      attributes = { id = "S", shelf = "S", ends_at = "N" }
      indexes    = { shelf = { partition = "shelf", sort = "ends_at", projection = "ALL" } }
      ttl        = null
    }
    orders = {
      attributes = { id = "S", user_id = "S", due_shard = "N", due_at = "N", refunds = "S", refunded_at = "N" }
      indexes = {
        by_user = { partition = "user_id", sort = "id", projection = "ALL" }
        due     = { partition = "due_shard", sort = "due_at", projection = "ALL" }
        refunds = { partition = "refunds", sort = "refunded_at", projection = "ALL" }
      }
      ttl = null
    }
    claims = {
      attributes = { id = "S" }
      indexes    = {}
      ttl        = null
    }
    dead_letters = {
      attributes = { id = "S", shelf = "S", received_at = "N" }
      indexes    = { shelf = { partition = "shelf", sort = "received_at", projection = "KEYS_ONLY" } }
      ttl        = null
    }
  }

  # What a policy names: a table, or TABLE/INDEX.
  table_arns = merge(
    { for table, it in aws_dynamodb_table.this : table => it.arn },
    merge([for table, it in local.tables : {
      for index in keys(it.indexes) : "${table}/${index}" => "${aws_dynamodb_table.this[table].arn}/index/${index}"
    }]...),
  )
}

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:Encrypted with the key that AWS owns; a key of ours would put a request to KMS, and its quota, behind each purchase
  for_each = local.tables

  name                        = "${local.table_prefix}${each.key}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = each.value.attributes
    content {
      name = attribute.key
      type = attribute.value
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.partition
      range_key       = global_secondary_index.value.sort
      projection_type = global_secondary_index.value.projection

      dynamic "warm_throughput" {
        for_each = contains(keys(var.warm_throughput), each.key) ? [var.warm_throughput[each.key]] : []
        content {
          read_units_per_second  = warm_throughput.value.reads
          write_units_per_second = warm_throughput.value.writes
        }
      }
    }
  }

  dynamic "ttl" {
    for_each = each.value.ttl == null ? [] : [each.value.ttl]
    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  dynamic "warm_throughput" {
    for_each = contains(keys(var.warm_throughput), each.key) ? [var.warm_throughput[each.key]] : []
    content {
      read_units_per_second  = warm_throughput.value.reads
      write_units_per_second = warm_throughput.value.writes
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = false # AWS' own key: always encrypted, and no request to KMS. `true` would choose aws/dynamodb.
  }
}
