# The way from `spike` to `order-writer`, and what the writer gave up on on its way to `dead-letter`.
#
# Standard queues: duplicates and disorder are harmless. EVENTS_URL is `sqs+` and the queue's address.

resource "aws_sqs_queue" "orders" {
  name                    = local.names.orders
  sqs_managed_sse_enabled = true
  # A buyer's order must outlive a bad weekend of the writer.
  message_retention_seconds = 14 * 24 * 3600
  # AWS' rule: six times what the function may take, so that a batch that is retried inside Lambda is not seen twice.
  visibility_timeout_seconds = 6 * local.functions["order-writer"].timeout_secs
  receive_wait_time_seconds  = 20

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name                       = local.names.dead_letters
  sqs_managed_sse_enabled    = true
  message_retention_seconds  = 14 * 24 * 3600
  visibility_timeout_seconds = 6 * local.functions["dead-letter"].timeout_secs
  receive_wait_time_seconds  = 20
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.orders.arn]
  })
}

# Nobody speaks to the queues but over TLS, and nobody of another account.
resource "aws_sqs_queue_policy" "tls" {
  for_each = local.queues

  queue_url = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = each.value.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

locals {
  queues = {
    orders       = aws_sqs_queue.orders
    dead_letters = aws_sqs_queue.dead_letters
  }
}

# A record that fails stays in the queue alone: the function answers which ones did (`ReportBatchItemFailures`).
resource "aws_lambda_event_source_mapping" "queue" {
  for_each = { for name, function in local.functions : name => function if function.consumes != null }

  event_source_arn        = local.queues[each.value.consumes].arn
  function_name           = module.function[each.key].alias_arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  # Not reserved concurrency: a poller that is throttled uses up a message's receives.
  scaling_config {
    maximum_concurrency = each.key == "order-writer" ? var.writer_concurrency : 2
  }
}
