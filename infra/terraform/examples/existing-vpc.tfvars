# In a VPC that is there, with a cache of our own: terraform apply -var-file=examples/existing-vpc.tfvars
network = {
  vpc_id          = "vpc-0123456789abcdef0"
  subnet_ids      = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  route_table_ids = ["rtb-0123456789abcdef0"]
}
