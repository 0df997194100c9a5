export const login = {
  title: "Log in",
  token: "Token",
  hint: "An API token of this service, or one of your login provider. Whoever runs the service can make one: headroom token create --role viewer",
  submit: "Log in",
};
