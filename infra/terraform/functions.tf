# The map of functions: what each is called by, is told, and may do. `cargo xtask check` compares it with the code:
#
# - routes: paths of the gateway, any method (the function answers 405 itself, as on the other targets); `{path+}` is the
#   code's `{*path}`. token: whether they need an access token.
# - timer, consumes: what else calls it: a path that EventBridge Scheduler sends, a queue.
# - environment: names in local.environment; secrets: names that runtime::env reads from Secrets Manager: the variable
#   NAME_SECRET holds the secret's ARN (several: comma-separated, texts joined by a line end). ADR 25.
# - tables: DynamoDB actions on a table, or on TABLE/INDEX. A function that is told EVENTS_URL may send to the queue.
# - scales: whether it sets the provisioned concurrency of the hot functions.
#
# A function with the secret STOCK_URL is in the VPC, all others are outside of it.
locals {
  declared = {
    access-check = {
      about       = "Whether the caller may buy, and if not, why."
      routes      = ["/spikes/{spike_id}/access"]
      token       = true
      environment = ["ISSUER", "STORE_URL"]
      secrets     = ["ACCESS_TOKEN_KEYS", "STOCK_URL"]
      tables      = { claims = ["BatchGetItem"], spikes = ["GetItem", "UpdateItem"], users = ["GetItem"] }
    }
    admin-spikes = {
      about        = "Spikes, for admins."
      routes       = ["/admin/spikes", "/admin/spikes/{spike_id}", "/admin/spikes/{spike_id}/pause", "/admin/spikes/{spike_id}/resume", "/admin/spikes/{spike_id}/stats"]
      token        = true
      environment  = ["ISSUER", "STORE_URL"]
      secrets      = ["ACCESS_TOKEN_KEYS", "STOCK_URL"]
      timeout_secs = 29
      tables = {
        claims         = ["BatchGetItem", "PutItem"]
        orders         = ["BatchGetItem", "GetItem"]
        spikes         = ["DeleteItem", "GetItem", "PutItem", "UpdateItem"]
        "spikes/shelf" = ["Query"]
      }
    }
    admin-users = {
      about        = "Accounts, their attributes and roles, and their import, for admins."
      routes       = ["/admin/users", "/admin/users/import", "/admin/users/{user_id}"]
      token        = true
      environment  = ["ISSUER", "STORE_URL"]
      secrets      = ["ACCESS_TOKEN_KEYS"]
      timeout_secs = 29
      tables = {
        users             = ["BatchGetItem", "GetItem", "PutItem", "UpdateItem"]
        "users/directory" = ["Query"]
      }
    }
    dead-letter = {
      about       = "Keeps what the queue gave up on, and sends it again when an admin asks."
      routes      = ["/admin/dead-letters", "/admin/dead-letters/{id}/redrive"]
      token       = true
      consumes    = "dead_letters"
      environment = ["EVENTS_URL", "ISSUER", "STORE_URL"]
      secrets     = ["ACCESS_TOKEN_KEYS"]
      tables = {
        dead_letters         = ["BatchGetItem", "GetItem", "PutItem", "UpdateItem"]
        "dead_letters/shelf" = ["Query"]
      }
    }
    keys = {
      about       = "The public keys of access tokens."
      routes      = ["/.well-known/jwks.json", "/.well-known/openid-configuration"]
      environment = ["ISSUER"]
      secrets     = ["ACCESS_TOKEN_KEYS"]
      memory_mb   = 128
    }
    login = {
      about       = "Passwords to tokens."
      routes      = ["/users/login"]
      environment = ["ISSUER", "PASSWORD_HASHES_MAX", "STORE_URL"]
      secrets     = ["SIGNING_KEY"]
      # A whole core: a password costs tens of milliseconds of one.
      memory_mb = 1769
      tables = {
        sessions = ["DeleteItem", "GetItem", "PutItem", "UpdateItem"]
        users    = ["BatchGetItem"]
      }
    }
    order-cancel = {
      about       = "Cancels an order; its units are buyable again."
      routes      = ["/orders/{order_id}/cancel"]
      token       = true
      environment = ["ISSUER", "STORE_URL"]
      secrets     = ["ACCESS_TOKEN_KEYS", "STOCK_URL"]
      tables      = { claims = ["DeleteItem"], orders = ["GetItem", "UpdateItem"] }
    }
    order-pay = {
      about       = "Takes the money; lists what is owed back."
      routes      = ["/admin/refunds", "/orders/{order_id}/pay"]
      token       = true
      environment = ["ISSUER", "STORE_URL"]
      secrets     = ["ACCESS_TOKEN_KEYS"]
      tables = {
        orders           = ["GetItem", "UpdateItem"]
        "orders/refunds" = ["Query"]
      }
    }
    order-query = {
      about       = "The caller's orders."
      routes      = ["/orders", "/orders/{order_id}", "/spikes/{spike_id}/order"]
      token       = true
      environment = ["ISSUER", "STORE_URL"]
      secrets     = ["ACCESS_TOKEN_KEYS", "STOCK_URL"]
      tables = {
        claims           = ["GetItem"]
        orders           = ["GetItem"]
        "orders/by_user" = ["Query"]
        spikes           = ["GetItem"]
      }
    }
    order-writer = {
      about       = "Makes orders durable."
      consumes    = "orders"
      environment = ["STORE_URL"]
      secrets     = ["STOCK_URL"]
      tables = {
        claims = ["BatchGetItem", "PutItem"]
        orders = ["BatchGetItem", "GetItem", "PutItem", "UpdateItem"]
        spikes = ["GetItem", "UpdateItem"]
      }
    }
    prewarm = {
      about        = "Raises the capacity of the hot functions before a sale, and lowers it afterwards."
      timer        = "/timers/prewarm"
      scales       = true
      environment  = ["ACCESS_CHECK_BUYERS_PER_INSTANCE", "FUNCTION_PREFIX", "GUARD_SECS", "INSTANCES_MAX", "LEAD_SECS", "SPIKE_BUYERS_PER_INSTANCE", "SPIKE_TOKEN_BUYERS_PER_INSTANCE", "STORE_URL"]
      timeout_secs = 29
      tables       = { claims = ["BatchGetItem"], "spikes/shelf" = ["Query"] }
    }
    refresh = {
      about       = "New tokens for a refresh token; the end of a session."
      routes      = ["/users/logout", "/users/refresh"]
      environment = ["ISSUER", "STORE_URL"]
      secrets     = ["SIGNING_KEY"]
      tables      = { sessions = ["GetItem", "PutItem", "UpdateItem"], users = ["GetItem"] }
    }
    register = {
      about       = "New accounts."
      routes      = ["/users"]
      environment = ["PASSWORD_HASHES_MAX", "STORE_URL"]
      memory_mb   = 1769
      tables      = { users = ["PutItem"] }
    }
    spike = {
      about       = "Purchases: the hot path."
      routes      = ["/spikes/{spike_id}/orders/{token}"]
      token       = true
      environment = ["BUCKET_BURST", "BUCKET_REFILL", "EVENTS_URL", "ISSUER", "STORE_URL"]
      secrets     = ["ACCESS_TOKEN_KEYS", "PATH_TOKEN_KEY", "STOCK_URL"]
      memory_mb   = 512
      tables      = { claims = ["BatchGetItem"], spikes = ["GetItem", "UpdateItem"], users = ["GetItem"] }
    }
    spike-list = {
      about       = "Spikes, and what is left of them."
      routes      = ["/spikes", "/spikes/{spike_id}"]
      environment = ["STORE_URL"]
      secrets     = ["STOCK_URL"]
      tables      = { spikes = ["GetItem"], "spikes/shelf" = ["Query"] }
    }
    spike-token = {
      about       = "Path tokens: the proof that the sale has started."
      routes      = ["/spikes/{spike_id}/token"]
      token       = true
      environment = ["ISSUER"]
      secrets     = ["ACCESS_TOKEN_KEYS", "PATH_TOKEN_KEY", "STOCK_URL"]
    }
    sweeper = {
      about       = "Finishes what others left half-done."
      timer       = "/timers/sweep"
      environment = ["EVENTS_URL", "REPEAT_SECS", "STORE_URL"]
      secrets     = ["STOCK_URL"]
      # A run repeats its first step for 50 s while a sale is open, and the last round may take 8 s more.
      timeout_secs = 59
      memory_mb    = 512
      tables = {
        claims         = ["BatchGetItem", "DeleteItem", "PutItem"]
        orders         = ["BatchGetItem", "GetItem", "UpdateItem"]
        "orders/due"   = ["Query"]
        spikes         = ["GetItem", "UpdateItem"]
        "spikes/shelf" = ["Query"]
      }
    }
    web = {
      about     = "Pages of problem codes, and the answer to unknown addresses. The buyers' pages are in pages.tf."
      routes    = ["/", "/assets/{path+}", "/openapi.json", "/problems", "/problems/{code}"]
      memory_mb = 128
    }
  }

  functions = {
    for name, declared in local.declared : name => {
      about        = declared.about
      routes       = try(declared.routes, [])
      token        = try(declared.token, false)
      timer        = try(declared.timer, null)
      consumes     = try(declared.consumes, null)
      environment  = try(declared.environment, [])
      secrets      = try(declared.secrets, [])
      tables       = try(declared.tables, {})
      scales       = try(declared.scales, false)
      memory_mb    = coalesce(try(var.sizes[name].memory_mb, null), try(declared.memory_mb, 256))
      timeout_secs = coalesce(try(var.sizes[name].timeout_secs, null), try(declared.timeout_secs, 10))
      concurrency  = try(coalesce(try(var.sizes[name].reserved_concurrency, null), name == "spike" ? var.spike_concurrency : null), null)
      in_network   = contains(try(declared.secrets, []), "STOCK_URL")
    }
  }

  # The addresses choose the adapters by their schemes: `dynamodb://REGION?prefix=TEXT`, `sqs+https://...`, and in the
  # secret STOCK_URL `rediss://USER:PASSWORD@HOST:PORT`.
  environment = {
    ACCESS_CHECK_BUYERS_PER_INSTANCE = tostring(var.prewarm.buyers_per_instance)
    BUCKET_BURST                     = tostring(var.rates.burst)
    BUCKET_REFILL                    = tostring(var.rates.refill)
    EVENTS_URL                       = "sqs+${aws_sqs_queue.orders.url}"
    FUNCTION_PREFIX                  = "${var.name}-"
    GUARD_SECS                       = tostring(var.prewarm.guard_secs)
    INSTANCES_MAX                    = tostring(var.prewarm.instances_max)
    ISSUER                           = aws_apigatewayv2_api.this.api_endpoint
    LEAD_SECS                        = tostring(var.prewarm.lead_secs)
    PASSWORD_HASHES_MAX              = "1" # an instance serves one request at a time
    REPEAT_SECS                      = "50"
    SPIKE_BUYERS_PER_INSTANCE        = tostring(var.prewarm.buyers_per_instance)
    SPIKE_TOKEN_BUYERS_PER_INSTANCE  = tostring(var.prewarm.buyers_per_instance)
    STORE_URL                        = "dynamodb://${var.region}?prefix=${local.table_prefix}"
  }

  # What runtime::telemetry reads. A collector is reached from the network only: a function outside of it would wait for one
  # after each invocation.
  telemetry = {
    for name, function in local.functions : name => merge(
      { RUST_LOG = var.log_level },
      var.otlp_endpoint == null || !function.in_network ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = var.otlp_endpoint },
    )
  }
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  name                 = local.function_names[each.key]
  alias                = local.alias
  description          = each.value.about
  package              = "${var.package_dir}/${each.key}.zip"
  architecture         = var.architecture
  partition            = data.aws_partition.current.partition
  memory_mb            = each.value.memory_mb
  timeout_secs         = each.value.timeout_secs
  reserved_concurrency = each.value.concurrency
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing

  environment = merge(
    local.telemetry[each.key],
    { for name in each.value.environment : name => local.environment[name] },
    { for name in each.value.secrets : "${name}_SECRET" => join(",", local.secret_arns[name]) },
  )

  network = each.value.in_network ? {
    subnet_ids         = local.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  } : null

  statements = concat(
    [for table, actions in each.value.tables : {
      actions   = [for action in actions : "dynamodb:${action}"]
      resources = [local.table_arns[table]]
    }],
    contains(each.value.environment, "EVENTS_URL") ? [{
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.orders.arn]
    }] : [],
    each.value.consumes == null ? [] : [{
      actions   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      resources = [local.queues[each.value.consumes].arn]
    }],
    !each.value.scales ? [] : [{
      actions   = ["lambda:DeleteProvisionedConcurrencyConfig", "lambda:GetProvisionedConcurrencyConfig", "lambda:PutProvisionedConcurrencyConfig"]
      resources = [for name in local.hot : "${local.function_arns[name]}:${local.alias}"]
    }],
    length(each.value.secrets) == 0 ? [] : [{
      actions   = ["secretsmanager:GetSecretValue"]
      resources = flatten([for name in each.value.secrets : local.secret_arns[name]])
    }],
  )

  # Secrets are read when a function starts, and the first start is API Gateway's look at `keys`.
  depends_on = [aws_secretsmanager_secret_version.signing_key, aws_secretsmanager_secret_version.public_key]
}
