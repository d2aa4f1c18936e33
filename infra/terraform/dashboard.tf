# One look at a sale: what comes in, what is refused, what waits.

locals {
  # Title, then for each line: namespace, metric, dimension, value, statistic.
  widgets = concat(
    [
      {
        title = "Purchases"
        lines = [
          ["AWS/Lambda", "Invocations", "FunctionName", local.function_names["spike"], "Sum"],
          ["AWS/Lambda", "Throttles", "FunctionName", local.function_names["spike"], "Sum"],
          ["AWS/Lambda", "Errors", "FunctionName", local.function_names["spike"], "Sum"],
        ]
      },
      {
        title = "Instances"
        lines = [for name in local.hot : ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", local.function_names[name], "Maximum"]]
      },
      {
        title = "Answers"
        lines = [for metric in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", metric, "ApiId", aws_apigatewayv2_api.this.id, "Sum"]]
      },
      {
        title = "Time to answer, p99"
        lines = [["AWS/ApiGateway", "Latency", "ApiId", aws_apigatewayv2_api.this.id, "p99"]]
      },
      {
        title = "Orders on their way"
        lines = [
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.names.orders, "Maximum"],
          ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.names.orders, "Maximum"],
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.names.dead_letters, "Maximum"],
        ]
      },
      {
        title = "Store: write units used"
        lines = [for table in aws_dynamodb_table.this : ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", table.name, "Sum"]]
      },
    ],
    local.cache_name == null ? [] : [{
      title = "Redis"
      lines = [for metric in ["ElastiCacheProcessingUnits", "BytesUsedForCache", "ThrottledCmds"] : ["AWS/ElastiCache", metric, "clusterId", local.cache_name, metric == "BytesUsedForCache" ? "Maximum" : "Sum"]]
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.names.dashboard

  dashboard_body = jsonencode({
    widgets = [
      for position, widget in local.widgets : {
        type   = "metric"
        x      = 12 * (position % 2)
        y      = 6 * floor(position / 2)
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          region  = var.region
          view    = "timeSeries"
          period  = 60
          metrics = [for line in widget.lines : concat(slice(line, 0, 4), [{ stat = line[4] }])]
        }
      }
    ]
  })
}
