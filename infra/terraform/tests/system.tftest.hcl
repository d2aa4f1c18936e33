# `terraform test`: what the plan of a system holds. AWS is mocked; nothing is made. Needs one zip per function, from
# scripts/package-lambda or from tests/offline.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
}

run "a_system_from_nothing" {
  command = plan

  assert {
    condition     = length(module.function) == length(local.declared)
    error_message = "Every function is made."
  }
  assert {
    condition     = toset([for table in aws_dynamodb_table.this : table.name]) == toset(["spike-users", "spike-sessions", "spike-spikes", "spike-orders", "spike-claims", "spike-dead_letters"])
    error_message = "The tables carry the prefix that STORE_URL names."
  }
  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled && table.point_in_time_recovery[0].enabled])
    error_message = "No table can be deleted or is without backup."
  }
  assert {
    condition     = aws_sqs_queue.orders.visibility_timeout_seconds >= 6 * local.functions["order-writer"].timeout_secs
    error_message = "A batch stays hidden for six times what its function may take."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_wafv2_web_acl.this) == 0
    error_message = "Nothing is paid for that was not asked for."
  }
  assert {
    condition     = toset([for name, function in local.functions : name if function.in_network]) == toset(["access-check", "admin-spikes", "order-cancel", "order-query", "order-writer", "spike", "spike-list", "spike-token", "sweeper"])
    error_message = "Only functions that need Redis are in the VPC."
  }
  assert {
    condition     = !anytrue([for key in keys(local.routes) : strcontains(key, "/events/") || strcontains(key, "/timers/")])
    error_message = "Events and timers are not reachable from the gateway."
  }
}

run "tokens_are_left_to_the_functions" {
  command = plan

  variables {
    verify_tokens_at_edge = false
  }

  assert {
    condition     = length(aws_apigatewayv2_authorizer.token) == 0 && length(aws_apigatewayv2_route.token) == 0
    error_message = "No authorizer."
  }
  assert {
    condition     = length(aws_apigatewayv2_route.open) == length(local.routes) + 1
    error_message = "All routes, and the one for unknown addresses."
  }
}

run "an_existing_network_and_cache" {
  command = plan

  variables {
    network = {
      vpc_id     = "vpc-0123456789abcdef0"
      subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
      endpoints  = false
    }
    cache = {
      security_group_id = "sg-0123456789abcdef0"
      url_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:stock-url-AbCdEf"
    }
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_elasticache_serverless_cache.this) + length(aws_vpc_endpoint.interface) == 0
    error_message = "Nothing is made that is there."
  }
  assert {
    condition     = one(local.secret_arns["STOCK_URL"]) == var.cache.url_secret_arn
    error_message = "Functions read the secret that was named."
  }
}

run "a_second_signing_key" {
  command = plan

  variables {
    signing_keys = { a = 1, b = 1 }
    signing_key  = "b"
  }

  assert {
    condition     = length(aws_secretsmanager_secret.public_key) == 2 && length(local.secret_arns["SIGNING_KEY"]) == 1
    error_message = "Both keys verify, one signs."
  }
}

run "a_cache_without_its_network_is_refused" {
  command = plan

  variables {
    cache = {
      security_group_id = "sg-0123456789abcdef0"
      url_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:stock-url-AbCdEf"
    }
  }

  expect_failures = [var.cache]
}

run "a_signing_key_that_is_not_there_is_refused" {
  command = plan

  variables {
    signing_key = "b"
  }

  expect_failures = [var.signing_key]
}

run "a_size_of_no_function_is_refused" {
  command = plan

  variables {
    sizes = { spikes = { memory_mb = 512 } }
  }

  expect_failures = [var.sizes]
}
