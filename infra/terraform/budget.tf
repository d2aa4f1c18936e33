resource "aws_budgets_budget" "this" {
  count = var.budget_usd == null ? 0 : 1

  name         = local.names.budget
  budget_type  = "COST"
  limit_amount = tostring(var.budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  # Only what carries our tag; `project` must be switched on as a cost allocation tag, once per account.
  cost_filter {
    name   = "TagKeyValue"
    values = [join("$", ["user:project", var.name])]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }
}
