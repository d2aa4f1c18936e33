# What somebody has to look at. Each alarm says what to do; docs/operations.md has more.

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:Names of alarms, no secrets; CloudWatch cannot publish through the key aws/sns
  name = local.names.alarms
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"] }
      Action    = ["sns:Publish"]
      Resource  = [aws_sns_topic.alarms.arn]
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

# An audit that finds a unit amiss twice, and a reservation that is no order after an hour, are ERROR lines of the sweeper.
resource "aws_cloudwatch_log_metric_filter" "incidents" {
  name           = "incidents"
  log_group_name = module.function["sweeper"].log_group
  pattern        = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace = local.names.metrics
    name      = "Incidents"
    value     = "1"
  }
}

locals {
  per_function = merge([
    for name, function in local.functions : {
      "${name}-errors" = {
        about      = "${name} fails. Look at its log."
        namespace  = "AWS/Lambda"
        metric     = "Errors"
        dimensions = { FunctionName = local.function_names[name] }
        statistic  = "Sum"
        threshold  = 0
        periods    = 3
      }
      "${name}-throttled" = {
        about      = "${name} is throttled. During a sale spike may be: that is its limit. Else raise the account's concurrency."
        namespace  = "AWS/Lambda"
        metric     = "Throttles"
        dimensions = { FunctionName = local.function_names[name] }
        statistic  = "Sum"
        threshold  = 0
        periods    = 5
      }
      "${name}-slow" = {
        about      = "One in a hundred calls of ${name} takes more than four fifths of its time limit."
        namespace  = "AWS/Lambda"
        metric     = "Duration"
        dimensions = { FunctionName = local.function_names[name] }
        statistic  = "p99"
        # The sweeper's run fills its minute by design.
        threshold = name == "sweeper" ? 57000 : function.timeout_secs * 800
        periods   = 5
      }
    }
  ]...)

  cache_name = one(aws_elasticache_serverless_cache.this[*].name)
  per_cache = local.cache_name == null ? {} : {
    cache-full = {
      about      = "Redis is four fifths full. Above its limit it refuses purchases. Raise cache_limits.storage_gb."
      namespace  = "AWS/ElastiCache"
      metric     = "BytesUsedForCache"
      dimensions = { clusterId = local.cache_name }
      statistic  = "Maximum"
      threshold  = var.cache_limits.storage_gb * 800000000
      periods    = 1
    }
    cache-throttled = {
      about      = "Redis is throttled: buyers get 503. Raise cache_limits.ecpu_per_sec_max, and _min before a sale."
      namespace  = "AWS/ElastiCache"
      metric     = "ThrottledCmds"
      dimensions = { clusterId = local.cache_name }
      statistic  = "Sum"
      threshold  = 0
      periods    = 2
    }
  }

  alarms = merge(local.per_function, local.per_cache, {
    dead-letters-wait = {
      about      = "The writer gave up on an order and dead-letter has not taken it: the store is away, or dead-letter fails."
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = local.names.dead_letters }
      statistic  = "Maximum"
      threshold  = 0
      periods    = 1
    }
    dead-letters = {
      about      = "The writer gave up on an order. Look at GET /admin/dead-letters, mend the cause, redrive."
      namespace  = "AWS/SQS"
      metric     = "NumberOfMessagesDeleted"
      dimensions = { QueueName = local.names.dead_letters }
      statistic  = "Sum"
      threshold  = 0
      periods    = 1
    }
    orders-wait = {
      about      = "The oldest order has been waiting for a minute. Look at order-writer and at the store's throttling."
      namespace  = "AWS/SQS"
      metric     = "ApproximateAgeOfOldestMessage"
      dimensions = { QueueName = local.names.orders }
      statistic  = "Maximum"
      threshold  = 60
      periods    = 2
    }
    incidents = {
      about      = "A unit is not where it should be, again, or an order is pending for an hour. The sweeper's log names it; GET /admin/spikes/ID/stats shows the balance."
      namespace  = local.names.metrics
      metric     = "Incidents"
      dimensions = {}
      statistic  = "Sum"
      threshold  = 0
      periods    = 1
    }
    gateway-errors = {
      about      = "The gateway answers with 5xx: a function fails, or its concurrency is used up."
      namespace  = "AWS/ApiGateway"
      metric     = "5xx"
      dimensions = { ApiId = aws_apigatewayv2_api.this.id }
      statistic  = "Sum"
      threshold  = 10
      periods    = 3
    }
    gateway-slow = {
      about      = "One in a hundred answers takes more than a second."
      namespace  = "AWS/ApiGateway"
      metric     = "Latency"
      dimensions = { ApiId = aws_apigatewayv2_api.this.id }
      statistic  = "p99"
      threshold  = 1000
      periods    = 5
    }
  })
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = 60
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
