# Timers. A run that fails is not repeated: the next minute's makes up for it, and two may overlap without harm.
#
# The input names the path that the runtime calls, as Knative's PingSource does with its URL.

resource "aws_scheduler_schedule_group" "this" {
  name = local.names.schedules
}

locals {
  timers = { for name, function in local.functions : name => function if function.timer != null }
}

resource "aws_scheduler_schedule" "timer" {
  #checkov:skip=CKV_AWS_297:The input is a path, nothing to encrypt
  for_each = local.timers

  name                = each.key
  group_name          = aws_scheduler_schedule_group.this.name
  description         = each.value.about
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.function[each.key].alias_arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ path = each.value.timer })

    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }
}

resource "aws_lambda_function_event_invoke_config" "timer" {
  for_each = local.timers

  function_name                = module.function[each.key].name
  qualifier                    = local.alias
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0

  depends_on = [module.function]
}

resource "aws_iam_role" "scheduler" {
  name        = local.names.scheduler
  description = "Lets EventBridge Scheduler call the functions that have a timer."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnEquals    = { "aws:SourceArn" = aws_scheduler_schedule_group.this.arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "invoke"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [for name in keys(local.timers) : module.function[name].alias_arn]
    }]
  })
}
